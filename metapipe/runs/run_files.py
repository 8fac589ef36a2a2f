"""The files of a run: which are ours, and which of those nobody needs any more.

A store may be anybody's, and its rows may name any file. Only what is ours is ever read
for a run, or removed with it: a file with one of our names in the run's directory,
which has one of our names itself.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError

if TYPE_CHECKING:
    from ..store.records import RunRow

DIRECTORY = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
"""What `new_directory` makes."""

CHECKPOINT = re.compile(r"(latest|best)-(\d{8,})(-[0-9a-f]+)?\.safetensors")
"""Which of the two, the step, and whose: a name is never used again."""

ERROR = "error.txt"
"""Why a run ended that could not tell its store."""

PART = re.compile(r"\.\w+\.part")
"""What is added while a file is written: left behind by a process that was killed."""


def runs_folder(project: Path) -> Path:
    """Where the runs of a project have their directories."""
    return project / ".metapipe" / "runs"


def new_directory(project: Path) -> Path:
    """Where the files of a new run of the project will be."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return runs_folder(project) / f"{moment}-{secrets.token_hex(3)}"


def checkpoint_file(directory: Path, which: str, step: int, writer: str) -> Path:
    """Where a process writes a checkpoint; `writer` is hexadecimal."""
    return directory / f"{which}-{step:08d}-{writer}.safetensors"


def is_ours(path: Path, directory: Path) -> bool:
    """Whether `path` is a file of the run whose directory that is."""
    if not DIRECTORY.fullmatch(directory.name):
        return False
    if path.parent.resolve() != directory.resolve():
        return False
    whole = PART.sub("", path.name) if path.suffix == ".part" else path.name
    return whole == ERROR or bool(CHECKPOINT.fullmatch(whole))


def is_here(row: RunRow) -> bool:
    """Whether the process that last worked at a run was one of this machine."""
    return row.host == socket.gethostname()


def require_there(path: Path, row: RunRow) -> None:
    """Raise CheckpointError, which says where to look, for a file that is not there."""
    if os.path.lexists(path):
        return
    if not is_here(row):
        raise CheckpointError(
            f"no checkpoint at {path}: the files of run {row.id} lie on {row.host}; "
            f"work with it there, or bring it: metapipe runs export {row.id} FILE"
        )
    raise CheckpointError(
        f"no checkpoint at {path}, where run {row.id} left it: if the project was "
        "moved, bring its folder .metapipe/runs too"
    )


def step_of(path: Path) -> int:
    """The step in a checkpoint's name; -1 if it has none."""
    found = CHECKPOINT.fullmatch(path.name)
    return int(found[2]) if found else -1


def why_foreign(directory: Path, folders: Sequence[Path]) -> str | None:
    """Why a directory is none of a run below the `folders` of a store; None if it is.

    A store's rows may name any folder: in a foreign one nothing is ever removed.
    """
    if not DIRECTORY.fullmatch(directory.name):
        return "no folder of a run"
    if directory.is_symlink():
        return "a link"
    if directory.parent.resolve() not in folders:
        known = " or ".join(map(str, folders))
        return f"not below {known or 'a folder of this store'}"
    return None


def our_files(directory: Path) -> Iterator[Path]:
    """All files of a run that are there."""
    with suppress(OSError):
        yield from (path for path in directory.iterdir() if is_ours(path, directory))


def our_checkpoints(directory: Path) -> list[Path]:
    """Whole checkpoints of a run, whether its store knows of them or not."""
    return [path for path in our_files(directory) if CHECKPOINT.fullmatch(path.name)]


def tidy(directory: Path, needed: Collection[Path], folders: Sequence[Path]) -> None:
    """Remove those that are not `needed`: what killed processes left behind. In a
    directory that is foreign to the `folders` of the store all is left alone."""
    if why_foreign(directory, folders) is not None:
        return
    kept = {path.resolve() for path in needed}
    for path in list(our_files(directory)):
        if path.resolve() not in kept:
            with suppress(OSError):  # what cannot be removed harms nobody
                path.unlink()
