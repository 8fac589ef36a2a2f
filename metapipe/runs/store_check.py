"""Whether a store is whole: its rows agree, and so do its files. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..store import StoreReader
from ..store.fault import Fault
from ..store.integrity import DAMAGED
from ..store.records import CheckpointRow, RunRow
from ..whole_file import sha256_of
from .run_files import CHECKPOINT, DIRECTORY, is_here, is_ours, our_files

TRIES = 3
"""How often a checkpoint is looked at that its run replaces meanwhile."""


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found."""

    rows: dict[str, int]
    files: int
    bytes: int
    """Of checkpoints, which were all read."""

    faults: list[Fault]

    @property
    def whole(self) -> bool:
        """Whether nothing is lost or wrong."""
        return all(fault.harmless for fault in self.faults)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "whole": self.whole}


def check(store: StoreReader, *, files: bool = True) -> Checked:
    """Look at all rows of a store, and at all files of its runs. Raises StoreError for
    one that cannot be read."""
    faults = store.faults()
    if any(fault.what == DAMAGED for fault in faults):
        return Checked({}, 0, 0, faults)
    count = size = 0
    directories = set()
    for run in store.runs(sort="id", limit=None) if files else ():
        directories.add(Path(run.directory).resolve())
        for row in store.checkpoints(run.id):
            faults += _fault_of_file(store, run, row)
            count, size = count + 1, size + row.bytes
        faults += _without_row(store, run)
    if files:
        faults += _without_run(store, directories)
    return Checked(store.count_rows(), count, size, faults)


def _fault_of_file(store: StoreReader, run: RunRow, row: CheckpointRow) -> list[Fault]:
    """What is wrong with a checkpoint's file; a running run may replace it."""
    for _ in range(TRIES):
        found = _fault(run, row)
        now = {each.which: each for each in store.checkpoints(run.id)}.get(row.which)
        if found is None or now is None:
            return []
        if now == row:
            return [found]
        row = now
    return []


def _fault(run: RunRow, row: CheckpointRow) -> Fault | None:
    path, where = Path(row.path), f"run {run.id}"
    if not is_ours(path, Path(run.directory)):
        detail = f"{path} is named as its checkpoint '{row.which}'"
        return Fault("a file that is not the run's", where, detail)
    try:
        size = path.stat().st_size
        if size != row.bytes:
            detail = f"{path} has {size} bytes, and not {row.bytes}"
            return Fault("damaged checkpoint", where, detail)
        if sha256_of(path) != row.sha256:
            detail = f"{path}: its content is not that of its checksum"
            return Fault("damaged checkpoint", where, detail)
    except OSError as error:
        elsewhere = "" if is_here(run) else f"; it was written on {run.host}"
        if not path.parent.parent.exists():
            elsewhere += "; a backup without files is checked by --no-files"
        detail = f"{path}: {error.strerror}{elsewhere}"
        return Fault("missing checkpoint", where, detail)
    return None


def _without_row(store: StoreReader, run: RunRow) -> Iterator[Fault]:
    """Files of a run that the store does not know; one that may go on may need them."""
    if run.status == "running":
        return
    known = {Path(row.path).resolve() for row in store.checkpoints(run.id)}
    for path in sorted(our_files(Path(run.directory))):
        if path.resolve() not in known and path.suffix != ".txt":
            whole = CHECKPOINT.fullmatch(path.name) and run.status == "completed"
            yield Fault(
                "file without a row", f"run {run.id}", str(path), harmless=not whole
            )


def _without_run(store: StoreReader, known: set[Path]) -> Iterator[Fault]:
    """Directories of runs that this store does not have: another's, or left behind."""
    for folder in store.folders:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        names = [
            path.name
            for path in entries
            if DIRECTORY.fullmatch(path.name) and path.resolve() not in known
        ]
        if names:
            detail = (
                f"{len(names)} directories of runs not in this store, perhaps another "
                f"store's: {names[0]}"
            )
            more = " ..." if len(names) > 1 else ""
            yield Fault("files without a run", str(folder), detail + more, True)
