"""Archives of class folders: odd names, lying sizes, links, and bytes changed."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

from metapipe.data import ImageEncoder, labelled, picture_suffixes

from .pictures import make as picture
from .target import Target
from .values import damaged, text

ENCODER = ImageEncoder(height=8, width=8, channels=1, fit="stretch")
ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
TARRED = ("w", "w:gz", "w:bz2", "w:xz")
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = (
    *(tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE),
    *(tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, b"Z"),
)


def make(random: Random) -> tuple[str, bytes]:
    """A file's name and its bytes."""
    if random.random() < 0.5:
        suffix, content = ".zip", _zip(random)
    else:
        suffix, content = random.choice((".tar", ".tar.gz", ".tgz")), _tar(random)
    if random.random() < 0.6:
        content = damaged(random, content)
    if random.random() < 0.05:
        content = gzip.compress(content)
    return f"a{suffix}", content


def read(made: tuple[str, bytes], folder: Path) -> None:
    """Every picture in it."""
    path = folder / made[0]
    path.write_bytes(made[1])
    for _, name, file in labelled(path, picture_suffixes()):
        ENCODER.pixels(file.read(), name)


def _member(random: Random) -> str:
    folders: tuple[str, ...] = ("rose", "tulip", "a/b", "__MACOSX")
    if random.random() < 0.1:
        folders = ("..", "", "/", text(random))
    suffix = random.choice((".png", ".png", ".jpg", "", ".txt"))
    return f"{random.choice(folders)}/{random.randrange(99)}{suffix}"


def _zip(random: Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for _ in range(random.randrange(6)):
            name = _member(random).encode(errors="replace").decode()
            info = zipfile.ZipInfo(name.replace("\0", "0") or "x")
            info.compress_type = random.choice(ZIPPED)
            info.external_attr = random.choice((0, 0o120777 << 16, 0x10))
            archive.writestr(info, _content(random))
    content = bytearray(file.getvalue())
    if random.random() < 0.3:  # a field of the directory: sizes, method, flags, offset
        place = content.find(b"PK\x01\x02")
        if place >= 0:
            field = place + random.choice((6, 8, 10, 16, 20, 24, 28, 30, 42))
            number = random.choice((0, 1, 0xFFFF, 2**31, 2**32 - 1))
            content[field : field + 4] = struct.pack("<I", number)
    return bytes(content)


def _tar(random: Random) -> bytes:
    file = io.BytesIO()
    kind = random.choice(FORMATS)
    with tarfile.open(fileobj=file, mode=random.choice(TARRED), format=kind) as archive:
        for _ in range(random.randrange(6)):
            name = _member(random).encode(errors="replace").decode()
            info = tarfile.TarInfo(name.replace("\0", "0"))
            info.type = random.choice(KINDS) if random.random() < 0.3 else KINDS[0]
            info.linkname = _member(random).encode(errors="replace").decode()
            content = _content(random)
            info.size = len(content) if info.isreg() else 0
            if kind == tarfile.PAX_FORMAT and random.random() < 0.3:
                info.pax_headers = {"comment": "x" * random.choice((1, 10**5))}
            try:
                archive.addfile(info, io.BytesIO(content))
            except ValueError:  # a name that this format cannot have
                continue
    return file.getvalue()


def _content(random: Random) -> bytes:
    match random.randrange(3):
        case 0:
            return b""
        case 1:
            return bytes(random.choice((10, 10**6)))
        case _:
            return picture(random)


ARCHIVES = Target("archives", make, read)
