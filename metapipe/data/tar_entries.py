"""What lies in a tar, packed or not, read in place and once through."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import DataError
from .archive_bound import LINKS, REMEDY, SPECIAL, ArchiveBound
from .file import UNREADABLE, File, NoFile, Parts, reason
from .names import readable_name

OPENERS: Mapping[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,
}
"""By the first bytes."""

MAX_HEADER = 2**18
"""Bytes that are read to find the next member, so many once, and then ..."""

MEAN_HEADER = 2**12
"""... so many for each member."""

PIECE = 2**16
"""Bytes of a member that are read at a time."""

TOO_MANY_DIGITS = re.compile(rb"\d{64}")
"""In a number in a header. A longer one keeps tarfile busy for hours,
CVE-2024-6232."""

logger = logging.getLogger("metapipe")


def tar_entries(root: Path) -> Iterator[File | NoFile]:
    """Everything in a tar, in its order, hard links last. Raises DataError for what is
    no tar, is damaged as a whole, or hostile."""
    try:
        bound = ArchiveBound(root)
        with (
            closing(_Stream(root, bound)) as stream,
            tarfile.open(fileobj=stream, mode="r:") as archive,
        ):
            yield from _entries(root, archive, stream, bound)
            yield from bound.empty()
    except UNREADABLE as error:
        told = isinstance(error, OSError) and error.strerror
        why = told or f"it is no folder, zip or tar, or is cut short ({reason(error)})"
        raise DataError(f"cannot read {root}: {why}") from error


def _entries(
    root: Path, archive: tarfile.TarFile, stream: _Stream, bound: ArchiveBound
) -> Iterator[File | NoFile]:
    files: dict[PurePosixPath, tarfile.TarInfo] = {}
    links: list[tuple[tarfile.TarInfo, str]] = []
    for info in _members(archive, stream):
        bound.admit(info.name, info.size)
        name = readable_name(info.name)
        if info.isdir():
            bound.folder(name)
        elif info.isreg():
            files[PurePosixPath(info.name)] = info
            yield _file(root, archive, stream, info, bound.parts(name), name)
        elif info.islnk() and (target := files.get(PurePosixPath(info.linkname))):
            bound.count(info.name, target.size)
            files[PurePosixPath(info.name)] = target
            links.append((target, name))
        else:
            link = info.issym() or info.islnk()
            yield NoFile(bound.parts(name), LINKS if link else SPECIAL)
    # In the order of what they link to, a packed tar is gone through once more only.
    for target, name in sorted(links, key=lambda link: link[0].offset_data):
        yield _file(root, archive, stream, target, bound.parts(name), name)


def _file(
    root: Path,
    archive: tarfile.TarFile,
    stream: _Stream,
    info: tarfile.TarInfo,
    parts: Parts,
    name: str,
) -> File:
    return File(parts, f"{root}:{name}", partial(_content, archive, stream, info))


def _members(archive: tarfile.TarFile, stream: _Stream) -> Iterator[tarfile.TarInfo]:
    """Each member. Raises ReadError where tarfile takes damage for the end, and where
    it would go back, and so go on for ever."""
    last = -1
    while True:
        stream.expect_header()
        info = archive.next()
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        if info is None:
            break
        if archive.offset <= last:
            raise tarfile.ReadError(f"the size at byte {last} is wrong")
        last = archive.offset
        yield info
    stream.expect_header()
    stream.seek(archive.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0"):
        raise tarfile.ReadError(f"there is no member at byte {archive.offset}")
    if not block:
        logger.warning("%s has no mark at its end: it may be cut short", stream.root)


def _content(archive: tarfile.TarFile, stream: _Stream, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    assert file is not None, "only regular files are asked for"
    stream.expect(info.size)
    return b"".join(iter(partial(file.read, PIECE), b""))


class _Stream(io.BufferedIOBase):
    """The unpacked bytes, of which no more are read than are expected."""

    def __init__(self, root: Path, bound: ArchiveBound) -> None:
        self.root = root
        self._bound = bound
        with root.open("rb") as file:
            start = file.read(6)
        found = [opener for magic, opener in OPENERS.items() if start.startswith(magic)]
        self._file: IO[bytes] = (found[0] if found else open)(root, "rb")
        self._headers = MAX_HEADER
        self.expect_header()

    def expect(self, size: int) -> None:
        """So many bytes may be read, which are no header."""
        self._expected, self._header = size, False

    def expect_header(self) -> None:
        """What leads to the next member, or to the end, may be read."""
        self._headers += MEAN_HEADER
        self._header = True

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file. Raises DataError for more than is expected."""
        most = self._headers if self._header else self._expected
        if size is None or not 0 <= size <= most:
            raise DataError(
                f"cannot read {self.root}: what stands at byte {self.tell():,} is "
                f"longer than is sane; {REMEDY}"
            )
        if self._header:
            self._headers -= size
        else:
            self._expected -= size
        content = self._file.read(size)
        if (
            self._header
            and len(content) > tarfile.BLOCKSIZE
            and TOO_MANY_DIGITS.search(content)
        ):
            raise tarfile.ReadError("a header has a number too long")
        return content

    def seek(self, place: int, whence: int = 0, /) -> int:
        """As of any file. Raises DataError for a place beyond the bound."""
        if place > self._bound.bytes:
            raise self._bound.bomb(f"byte {place:,}")
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """The place in the unpacked bytes."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Yes: backwards by unpacking once more."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
