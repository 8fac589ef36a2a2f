"""Files in folders, one folder a class; or a zip or tar of such folders.

Archives are read in place: nothing is unpacked onto the disk, so no name in one can
reach outside, and what it would grow to is bounded before it is read.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError

MAX_FILE = 256 * 2**20
"""Bytes; no single picture or text is larger."""

MAX_GROWTH = 200
"""An archive larger than MAX_ARCHIVE that unpacks to more than so many times its own
size is a bomb."""

MAX_ARCHIVE = 2**30
SHOWN = 5
"""How many files a message names."""

IGNORED = ("__MACOSX", "Thumbs.db", "desktop.ini")
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,  # an encrypted member of a zip, or an unknown compression
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged file or archive raises."""

Reader = Callable[[], bytes]


@dataclass(frozen=True)
class File:
    """A file below a root."""

    parts: tuple[str, ...]
    """Its path below the root."""

    origin: str
    """Where it is, for people."""

    source: Reader

    def read(self) -> bytes:
        """Its content; raises DataError if it cannot be read."""
        try:
            return self.source()
        except UNREADABLE as error:
            text = getattr(error, "strerror", None) or str(error)
            reason = " ".join(text.split()) or type(error).__name__
            raise DataError(f"cannot read {self.origin}: {reason}") from error


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive we read."""
    return path.name.lower().endswith(SUFFIXES)


def walk(root: Path, suffixes: Iterable[str]) -> Iterator[File]:
    """All files under a folder or in an archive that end in one of `suffixes` (lower
    case, with a dot), in the order in which they are best read.

    A file is good to read until the next one is asked for. Links in folders are
    followed, in archives not. Hidden files and what desktops leave behind are passed
    over. Raises DataError if the root is not there,
    not readable, or an archive is hostile.
    """
    known = tuple(suffixes)
    if root.is_dir():
        found = _folder(root)
    elif not root.exists():
        raise DataError(f"{root} does not exist: give a folder, or a zip or tar of it")
    elif zipfile.is_zipfile(root):
        found = _zip(root)
    else:
        found = _tar(root)
    for file in found:
        hidden = any(part.startswith(".") or part in IGNORED for part in file.parts)
        if not hidden and file.parts[-1].lower().endswith(known):
            yield file


def labelled(
    root: Path, suffixes: Iterable[str], splits: Iterable[str] = ()
) -> Iterator[tuple[str, str, File]]:
    """(class, name in the class, file) of all files in folders under a root.

    A class is the folder at the top, below whatever folders all files share; or, if the
    folders at the top are all called like `splits`, that and the one below it.
    """
    known = tuple(suffixes)
    paths = [file.parts for file in walk(root, known)]
    skip = prefix_of(paths)
    # A folder that is called `train` is a split only if another one is there too.
    tops = {path[skip] for path in paths if len(path) > skip + 2}
    split = len(tops) > 1 and {top.lower() for top in tops} <= set(splits)
    depth = 2 if split else 1
    for file in walk(root, known):
        parts = file.parts[skip:]
        if len(parts) > depth:
            yield "/".join(parts[:depth]), "/".join(parts[depth:]), file


def without_pictures(
    root: Path, suffixes: Iterable[str], splits: Iterable[str] = ()
) -> list[str]:
    """Folders beside the classes of `labelled` in which no file ends in one of
    `suffixes`: each with a file that it has instead, if it has one."""
    known = tuple(suffixes)
    found = {label for label, _, _ in labelled(root, known, splits)}
    depth = max((label.count("/") for label in found), default=0) + 1
    skip = prefix_of([file.parts for file in walk(root, known)])
    others: dict[str, str] = {}
    for parts in (*(f.parts for f in walk(root, ("",))), *_empty_folders(root)):
        label = "/".join(parts[skip : skip + depth])
        if len(parts) > skip + depth and label not in found:
            others.setdefault(label, parts[-1])
    return [f"{label} ({name})" if name else label for label, name in others.items()]


def first_few(texts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


def prefix_of(names: Iterable[tuple[str, ...]]) -> int:
    """How many folders at the top all paths share without being their class: a zip of
    `flowers/rose/1.jpg` has one."""
    paths = list(names)
    count = 0
    while (
        paths
        and all(len(path) > count + 2 for path in paths)
        and len({path[count] for path in paths}) == 1
    ):
        count += 1
    return count


def _folder(root: Path) -> Iterator[File]:
    paths = [folder / name for folder, names in _folders(root) for name in names]
    for path in sorted(path for path in paths if path.is_file()):
        yield File(path.relative_to(root).parts, str(path), _bounded(path))


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with its files' names; links are followed, but not in circles."""

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error

    for where, below, names in os.walk(root, followlinks=True, onerror=refuse):
        folder = Path(where)
        above = {folder.resolve(), *folder.resolve().parents}
        below[:] = [name for name in below if (folder / name).resolve() not in above]
        yield folder, names


def _empty_folders(root: Path) -> list[tuple[str, ...]]:
    """The paths of folders with nothing in them, with an empty name at the end."""
    if not root.is_dir():
        return []
    folders = [folder for folder, _ in _folders(root)]
    empty = [f for f in folders if not any(f.iterdir()) and not f.name.startswith(".")]
    return [(*folder.relative_to(root).parts, "") for folder in empty]


def _bounded(path: Path) -> Reader:
    def read() -> bytes:
        if path.stat().st_size > MAX_FILE:
            raise DataError(f"{path} is larger than {MAX_FILE >> 20} MiB")
        return path.read_bytes()

    return read


def _zip(root: Path) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(root)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {root}: {error}") from error
    with archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        twice = [n for n, k in Counter(m.filename for m in members).items() if k > 1]
        if twice:
            raise DataError(f"{root} has '{twice[0]}' more than once")
        bound = _Bound(root)
        for info in members:
            parts = bound.admit(info.filename, info.file_size)
            yield File(parts, f"{root}:{info.filename}", _member(archive, info))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Reader:
    return lambda: archive.read(info)


def _tar(root: Path) -> Iterator[File]:
    try:
        with tarfile.open(root) as archive:
            bound = _Bound(root)
            for info in archive:
                if not info.isfile():  # links and devices are nobody's examples
                    continue
                parts = bound.admit(info.name, info.size)
                yield File(parts, f"{root}:{info.name}", _tar_member(archive, info))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(
            f"cannot read {root}: it is no folder, zip or tar, or is cut short"
        ) from error


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Reader:
    def read() -> bytes:
        file = archive.extractfile(info)
        assert file is not None, "only regular files are asked for"
        return file.read()

    return read


class _Bound:
    """Refuses names that point outside, and archives that grow beyond measure."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._total = 0
        self._most = max(MAX_ARCHIVE, MAX_GROWTH * root.stat().st_size)

    def admit(self, name: str, size: int) -> tuple[str, ...]:
        """The parts of a member's path."""
        path = PurePosixPath(name.replace("\\", "/"))
        if not path.parts:
            raise DataError(f"{self._root} has a member without a name ('{name}')")
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise DataError(f"{self._root} has '{name}', which points outside of it")
        self._total += size
        if size > MAX_FILE or self._total > self._most:
            raise DataError(
                f"{self._root} would unpack to more than is sane (at '{name}'): it "
                "looks like an archive bomb"
            )
        return path.parts
