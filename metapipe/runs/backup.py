"""A store backed up, with the files of its runs if asked."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError
from ..store import StoreReader
from ..store.records import CheckpointRow
from ..whole_file import sha256_of, whole_file
from .run_files import is_ours, require_there

TRIES = 5
"""How often a store is copied whose runs replace their checkpoints meanwhile."""


@dataclass(frozen=True)
class Backup:
    """What was written."""

    path: Path
    bytes: int
    files: int | None
    """Checkpoints in `runs/` beside it; None if they were not asked for."""


def back_up(
    url: str, path: Path, *, with_files: bool = False, force: bool = False
) -> Backup:
    """Copy the store at `url` into the SQLite file `path`, as it is at one moment; with
    the checkpoints of its runs, in `runs/` beside it, if asked.

    Raises UsageError if there is such a file, unless by `force`; WriteError,
    StoreError; CheckpointError for a checkpoint that is missing or damaged.
    """
    with closing(StoreReader(url)) as store:
        for left in range(TRIES)[::-1]:
            try:
                with store.backing_up(path, force=force) as aside:
                    files = _copy_files(store, aside) if with_files else None
                break
            except _ReplacedError:  # by its run, since the rows were copied
                if not left:
                    raise
    return Backup(path, path.stat().st_size, files)


class _ReplacedError(CheckpointError):
    """A checkpoint is not what the rows say that it is."""


def _copy_files(store: StoreReader, copy: Path) -> int:
    """All checkpoints that a copy of the store names, to where it names them."""
    count = 0
    with closing(StoreReader(f"sqlite:///{copy}")) as copied:
        for run in copied.runs(sort="id", limit=None):
            for row in copied.checkpoints(run.id):
                _copy_file(store, row)
                count += 1
    return count


def _copy_file(store: StoreReader, row: CheckpointRow) -> None:
    run, target = store.run(row.run_id), Path(row.path)
    source = Path(run.directory, target.name)
    if target.exists() and sha256_of(target) == row.sha256:
        return
    if not is_ours(source, Path(run.directory)):
        raise CheckpointError(f"{source} is no file of run {run.id}: not copied")
    try:
        require_there(source, run)
        with source.open("rb") as file, whole_file(target) as copy:
            shutil.copyfileobj(file, copy, 2**20)
        if sha256_of(target) == row.sha256:
            return
        target.unlink()
        reason = f"{source} is damaged: its content is not that of its checksum"
    except (CheckpointError, FileNotFoundError) as error:
        reason = str(error)
    kind = _ReplacedError if run.status == "running" else CheckpointError
    raise kind(f"{reason}; without --with-files the rows are copied alone")
