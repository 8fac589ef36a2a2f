"""Files below a folder, or in a zip or tar of it."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import PathError
from .file import SPECIAL, File, NoFile, reason
from .folder_entries import folder_entries
from .leftovers import is_leftover
from .names import readable_name
from .passed_over import OTHER, PassedOver
from .tar_entries import tar_entries
from .zip_entries import zip_entries

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive we read."""
    return path.name.lower().endswith(SUFFIXES) and not is_leftover(path.name)


def walk(root: Path, suffixes: Iterable[str]) -> Iterator[File]:
    """All files under a folder or in an archive that end in one of `suffixes` (lower
    case, with a dot), in the order in which they are best read.

    A file is good to read until the next one is asked for; a link to nothing and a
    folder that cannot be looked into are errors when they are read. Links in folders
    are followed, each real folder once; of those in archives, hard ones. What other
    systems leave behind is passed over; other things are, too, and told of at the end.
    Raises PathError if the root is not there, DataError if it is not readable, or an
    archive is hostile.
    """
    known, passed = tuple(suffixes), PassedOver()
    for entry in entries(root):
        if isinstance(entry, NoFile):
            passed.add(entry.kind, entry.parts)
        elif not is_of(entry, known):
            passed.add(OTHER, entry.parts)
        else:
            yield entry
    passed.tell(root)


def is_of(file: File, suffixes: tuple[str, ...]) -> bool:
    """Whether it ends in one of the suffixes, or is a folder that cannot be read."""
    name = file.parts[-1]
    return not name or name.lower().endswith(suffixes)


def entries(root: Path) -> Iterator[File | NoFile]:
    """Everything below a root but leftovers; see `walk`."""
    if _kind(root) == stat.S_IFDIR:
        yield from folder_entries(root)
        return
    found = zip_entries(root) if zipfile.is_zipfile(root) else tar_entries(root)
    for entry in found:
        if not any(part and is_leftover(part) for part in entry.parts):
            yield entry


def _kind(root: Path) -> int:
    """Whether it is a folder or a file. Raises PathError for anything else."""
    try:
        kind = stat.S_IFMT(root.stat().st_mode)
    except FileNotFoundError as error:
        raise PathError(
            f"{readable_name(root)} does not exist: give a folder, or a zip or tar "
            "of it"
        ) from error
    except (OSError, ValueError) as error:
        text = f"cannot read {readable_name(root)}: {reason(error)}"
        raise PathError(text) from error
    if kind not in (stat.S_IFDIR, stat.S_IFREG):
        raise PathError(f"cannot read {readable_name(root)}: {SPECIAL}")
    return kind
