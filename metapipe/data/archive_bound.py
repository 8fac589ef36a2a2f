"""What an archive may grow to before it is taken for a bomb, and names it may have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .file import MAX_FILE, NoFile, Parts
from .folder_entries import EMPTY

MAX_ARCHIVE = 2**29
MAX_GROWTH = 20
"""What is in an archive has at most MAX_ARCHIVE bytes, or so many times its size."""

MAX_MEMBERS = 20_000
MIN_MEMBER = 128
"""An archive has at most MAX_MEMBERS members, or one for so many of its bytes."""

LINKS = "links in an archive"
SPECIAL = "members that are no files"
REMEDY = "if you trust it, unpack it and give the folder"


class ArchiveBound:
    """Refuses names that point outside, and archives that grow beyond measure."""

    def __init__(self, root: Path) -> None:
        size = root.stat().st_size
        self.bytes = max(MAX_ARCHIVE, MAX_GROWTH * size)
        self.members = max(MAX_MEMBERS, size // MIN_MEMBER)
        self._root = root
        self._total = 0
        self._names: set[str] = set()
        self._folders: set[Parts] = set()
        self._filled: set[Parts] = set()

    def admit(self, name: str, size: int) -> None:
        """Count a member of any kind, of this name as it is stored."""
        self.count(name, size)
        if name in self._names:
            raise DataError(f"{self._root} has '{name}' more than once")
        self._names.add(name)
        if len(self._names) > self.members:
            raise DataError(
                f"{self._root} has more than {self.members:,} members: {REMEDY}"
            )

    def count(self, name: str, size: int) -> None:
        """Count what will be read."""
        self._total += size
        if not 0 <= size <= MAX_FILE or self._total > self.bytes:
            raise self.bomb(name)

    def bomb(self, where: str) -> DataError:
        """The error that it grows beyond measure."""
        return DataError(
            f"{self._root} would unpack to more than is sane (at '{where}'): it looks "
            f"like an archive bomb; {REMEDY}"
        )

    def parts(self, name: str) -> Parts:
        """The parts of a member's path."""
        path = PurePosixPath(name.replace("\\", "/"))
        if not path.parts:
            raise DataError(f"{self._root} has a member without a name ('{name}')")
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise DataError(f"{self._root} has '{name}', which points outside of it")
        for depth in range(1, len(path.parts)):
            self._filled.add(path.parts[:depth])
        return path.parts

    def folder(self, name: str) -> None:
        """Note a folder, which may be empty."""
        if name.strip("./\\"):
            self._folders.add(self.parts(name))

    def empty(self) -> Iterator[NoFile]:
        """Folders in which nothing was."""
        for parts in sorted(self._folders - self._filled):
            yield NoFile((*parts, ""), EMPTY)
