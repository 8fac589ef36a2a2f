"""Files that are there whole or not at all, whenever the process or the machine dies:
all that metapipe writes for itself and for users goes through here."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import WriteError

LONGEST = 60
"""Letters of a name that are kept for the file beside it: names end at 255 bytes."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` once it is whole and on disk;
    if anything goes wrong, what was there stays.

    Folders are made. What is no regular file, such as a pipe, is written to directly.
    Raises WriteError, in a line that names `path`.
    """
    place = Path(os.path.realpath(path))  # a link stays one
    try:
        if place.exists() and not place.is_file():
            with place.open("wb") as file:
                yield file
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with _aside(place) as aside:
            with aside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(place)
        sync_folder(place.parent)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Let the names in a folder be on disk, where the system can do that."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """A new file beside `place`, as accessible as what is there; gone in the end, if it
    was not renamed. Raises OSError, also for what may not be written."""
    aside = place.with_name(f"{place.name[:LONGEST]}.{secrets.token_hex(4)}.part")
    try:
        aside.touch(exist_ok=False)
        if place.exists():
            place.open("ab").close()
            shutil.copymode(place, aside)
        yield aside
    finally:
        with suppress(OSError):  # that of the writing is told
            aside.unlink()
