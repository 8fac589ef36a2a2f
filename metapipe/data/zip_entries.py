"""What lies in a zip, read in place."""

from __future__ import annotations

import io
import logging
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..errors import DataError
from .archive_bound import LINKS, REMEDY, SPECIAL, ArchiveBound
from .file import MAX_FILE, UNREADABLE, File, NoFile, reason
from .zip_names import DOS, encoding_of

MAX_DIRECTORY = 24 * 2**20
"""Bytes of the list of members, or an eighth of the file."""

UTF8 = 0x800
ENCRYPTED = 0x1
"""The flag of a member that its name is in UTF-8."""

PIECE = 64
"""Bytes that bzip2 and LZMA are given at a time: they may grow 500,000 times."""

logger = logging.getLogger("metapipe")


def zip_entries(root: Path) -> Iterator[File | NoFile]:
    """Everything in a zip, in its order. Raises DataError for what is no zip, is
    damaged as a whole, or hostile."""
    with _Content(root) as content, _opened(root, content) as archive:
        bound = ArchiveBound(root)
        members = archive.infolist()
        for info in members:
            bound.admit(info.filename, info.file_size)
        names = _names(root, members)
        for info in members:
            name = names.get(info.filename, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.filename.endswith("/"):
                bound.folder(name)
            elif kind in (0, stat.S_IFREG):
                read = partial(_content, archive, info)
                yield File(bound.parts(name), f"{root}:{name}", read)
            else:
                link = kind == stat.S_IFLNK
                yield NoFile(bound.parts(name), LINKS if link else SPECIAL)
        yield from bound.empty()


class _Content(io.BufferedReader):
    """The file, of which the list of members is not read if it is too long."""

    def __init__(self, root: Path) -> None:
        super().__init__(io.FileIO(root))
        self._root = root
        self._most = max(MAX_DIRECTORY, root.stat().st_size // 8)

    def whole(self) -> None:
        """The list is read: what is read now is members."""
        self._most = MAX_FILE

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; zipfile asks for the list as a whole."""
        if size is not None and size > self._most:
            raise DataError(f"{self._root} has a list of members too long: {REMEDY}")
        return super().read(size)


def _opened(root: Path, content: _Content) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(content)
    except UNREADABLE as error:
        raise DataError(f"cannot read {root}: {reason(error)}") from error
    content.whole()
    return archive


def _names(root: Path, members: Sequence[zipfile.ZipInfo]) -> Mapping[str, str]:
    """Better names of those that are neither ASCII nor said to be UTF-8."""
    unsure = [
        info.filename
        for info in members
        if not (info.flag_bits & UTF8 or info.filename.isascii())
    ]
    if not unsure:
        return {}
    encoding = encoding_of(unsure)
    names = {name: name.encode(DOS).decode(encoding) for name in unsure}
    if encoding != "utf-8":
        logger.warning(
            "%s does not say how its names are written: '%s' is read as %s",
            *(root, names[unsure[0]], encoding),
        )
    return names


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """No more than the member says of itself is unpacked, which may be a lie."""
    if info.flag_bits & ENCRYPTED:
        raise OSError("it is encrypted: unpack the zip with its password")
    with archive.open(info) as file:
        if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return file.read(info.file_size)
        assert isinstance(file, zipfile.ZipExtFile), "it is opened to be read"
        file.MAX_N = file.MIN_READ_SIZE = PIECE
        return file.read()
