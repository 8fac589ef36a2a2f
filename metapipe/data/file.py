"""A file of the user's, wherever it lies; and what lies there and is none."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, PathError
from ..printable import one_line
from .names import readable_name

MAX_FILE = 256 * 2**20
"""Bytes; no single picture or text is larger."""

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,  # an encrypted member of a zip, an unknown compression, a long chain
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged file or archive raises."""

Parts = tuple[str, ...]
"""A path below a root; of a folder, with an empty name at the end."""


@dataclass(frozen=True)
class File:
    """A file below a root."""

    parts: Parts
    """Its path below the root. An empty name at the end is a folder that cannot be
    looked into."""

    origin: str
    """Where it is, for people."""

    source: Callable[[], bytes]

    def read(self) -> bytes:
        """Its content; raises DataError if it cannot be read."""
        try:
            return self.source()
        except UNREADABLE as error:
            raise DataError(f"cannot read {self.origin}: {reason(error)}") from error


@dataclass(frozen=True)
class NoFile:
    """What lies below a root and is passed over."""

    parts: Parts
    kind: str
    """What it and its like are, for people: `links in an archive`."""


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = getattr(error, "strerror", None) or str(error)
    return one_line(text) or type(error).__name__


def file_at(path: Path, parts: Parts | None = None) -> File:
    """The file at a path, read when it is asked for."""
    name = readable_name(path)
    return File(parts or (path.name,), name, lambda: read_file(path))


def no_file_at(path: Path, parts: Parts, why: str) -> File:
    """What should be a file or a folder and is not: an error when it is read."""

    def refuse() -> bytes:
        raise OSError(why)

    return File(parts, readable_name(path), refuse)


def read_file(path: Path, most: int = MAX_FILE) -> bytes:
    """The content of a file. Raises OSError, and DataError for what has no end: a pipe,
    a device, or a file of more bytes than `most`."""
    # A pipe that nobody writes to is waited for, unless it is opened like this.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with os.fdopen(number, "rb") as file:
        state = os.fstat(number)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(21, "it is a folder", str(path))
        if not stat.S_ISREG(state.st_mode):
            raise PathError(f"cannot read {readable_name(path)}: {SPECIAL}")
        content = file.read(most + 1)
    if len(content) > most:
        raise DataError(f"{readable_name(path)} is larger than {most >> 20} MiB")
    return content


_BINARY = getattr(os, "O_BINARY", 0)  # Windows
SPECIAL = "it is a pipe, a socket or a device, and no file"
