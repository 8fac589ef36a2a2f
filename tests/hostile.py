"""Archives that no honest program writes, for the tests of those who read them."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path


def member(name: str, content: bytes = b"", **fields: object) -> bytes:
    """A member of a tar as it is stored; `fields` are of its header, and may lie."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def write_tar(path: Path, members: Iterable[bytes]) -> Path:
    """A tar of what `member` makes, packed if it is called so."""
    packed = path.suffix == ".gz"
    with gzip.open(path, "wb", 1) if packed else path.open("wb") as file:
        for each in members:
            file.write(each)
        file.write(bytes(1024))
    return path


def negative(name: str) -> bytes:
    """A member that says it ends two blocks before it begins."""
    header = bytearray(member(name))
    header[124:136] = b"\xff" + (2**88 - 1024).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def lying_zip(path: Path, method: int, real: int, said: int) -> Path:
    """A zip whose member has `real` zeros, and `said` says how many it has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        archive.writestr("rose/1.png", bytes(real))
    content = bytearray(buffer.getvalue())
    for at in (22, content.rfind(b"PK\x01\x02") + 24):
        content[at : at + 4] = struct.pack("<I", said)
    path.write_bytes(content)
    return path


def overlapping_zip(path: Path, count: int, size: int) -> Path:
    """`count` members of `size` zeros each, all of the same bytes of the file."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = pack.compress(bytes(size)) + pack.flush()
    facts = (0, 33, zlib.crc32(bytes(size)), len(body), size)
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, *facts, 6, 0)
    entries = b"".join(
        struct.pack("<4sHHHH", b"PK\1\2", 20, 20, 0, 8)
        + struct.pack("<HHIII", *facts)
        + struct.pack("<HHHHHII", 6, 0, 0, 0, 0, 0, 0)
        + b"r/%04x" % number
        for number in range(count)
    )
    start = len(local) + 6 + len(body)
    end = (b"PK\5\6", 0, 0, count, count, len(entries), start, 0)
    tail = struct.pack("<4sHHHHIIH", *end)
    path.write_bytes(local + b"r/0000" + body + entries + tail)
    return path
