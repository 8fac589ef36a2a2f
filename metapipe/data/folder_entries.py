"""What lies in a folder: each real folder once, however many links lead to it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .file import File, NoFile, Parts, file_at, no_file_at, reason
from .leftovers import is_leftover
from .names import readable_name

MAX_FILES = 5_000_000
"""More files are not looked for in one folder."""

EMPTY = "empty folders"
SEEN = "links to folders that are read already"
SPECIAL = "pipes, sockets and devices"


def folder_entries(root: Path) -> list[File | NoFile]:
    """Everything below a folder but leftovers, in order of the names.

    Links are followed. A folder is read where it lies, else by the first link to it;
    other links to it, and so those that make a circle, are passed over. Raises
    DataError for a root that cannot be listed, or with too many files.
    """
    found: list[File | NoFile] = []
    for entry in _scanned(root):
        found.append(entry)
        if len(found) > MAX_FILES:
            raise DataError(
                f"{root} has more than {MAX_FILES:,} files: give a folder that has less"
            )
    return sorted(found, key=lambda entry: entry.parts)


def _scanned(root: Path) -> Iterator[File | NoFile]:
    seen: set[tuple[int, int]] = set()
    folders, links = deque([root]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        parts = (*folder.relative_to(root).parts, "")
        try:
            state = folder.stat()
            if (state.st_dev, state.st_ino) in seen:
                yield NoFile(parts, SEEN)
                continue
            seen.add((state.st_dev, state.st_ino))
            entries = [e for e in os.scandir(folder) if not is_leftover(e.name)]
        except OSError as error:
            if folder == root:
                text = f"cannot read {readable_name(root)}: {reason(error)}"
                raise DataError(text) from error
            yield no_file_at(folder, parts, reason(error))
            continue
        if not entries and folder != root:
            yield NoFile(parts, EMPTY)
        for entry in sorted(entries, key=lambda entry: entry.name):
            path, where = folder / entry.name, (*parts[:-1], entry.name)
            if not entry.is_symlink() and entry.is_dir():
                folders.append(path)
            elif not os.path.isdir(path):  # also where nobody may look
                yield _file(path, where)
            elif _is_circle(folder, path):
                yield NoFile((*where, ""), SEEN)
            else:
                links.append(path)


def _file(path: Path, parts: Parts) -> File | NoFile:
    if os.path.isfile(path):
        return file_at(path, parts)
    try:
        path.stat()
    except OSError as error:
        # Without a suffix it was to be a folder, as far as one can know.
        parts = parts if path.suffix else (*parts, "")
        why = f"it is a link to nothing ({reason(error)})"
        return no_file_at(path, parts, why if path.is_symlink() else reason(error))
    return NoFile(parts, SPECIAL)


def _is_circle(folder: Path, link: Path) -> bool:
    """Whether it leads to a folder that it lies in."""
    here, target = folder.resolve(), link.resolve()
    return target == here or target in here.parents
