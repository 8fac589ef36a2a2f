"""Runs removed: their rows in the store, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .run_files import is_here, is_ours, our_files, why_foreign

if TYPE_CHECKING:
    from ..store import TaskStore
    from ..store.records import RunRow

PAGE = 500


@dataclass(frozen=True)
class Doomed:
    """A run that is to be removed."""

    id: int
    name: str | None


@dataclass(frozen=True)
class Removal:
    """Which runs are removed."""

    rows: tuple[Doomed, ...]
    bytes: int
    """Of their checkpoints."""

    left: tuple[str, ...] = ()
    """Files that were left alone, and why."""


def remove_runs(
    store: TaskStore,
    names: Sequence[int | str] = (),
    where: str | None = None,
    agreed: Callable[[Removal], bool] = lambda found: True,
) -> Removal:
    """Remove the runs of these names, or those that match a filter, if it is `agreed`;
    returns which were removed.

    Raises UsageError if one of them is running, and for a filter that names nothing.
    """
    found = {row.id: row for row in _asked(store, names, where)}
    for row in found.values():
        if row.status == "running":
            more = f"; add 'and id!={row.id}' to the filter" if where else ""
            raise UsageError(
                f"run {row.id} is running, process {row.pid} on {row.host}: it is not "
                f"deleted, nor is any other{more}"
            )
    size = sum(c.bytes for run in found for c in store.checkpoints(run))
    removal = Removal(tuple(Doomed(r.id, r.name) for r in found.values()), size)
    if not agreed(removal):
        return Removal((), 0)
    left = [line for run in found for line in remove_run(store, run, idle_only=True)]
    return replace(removal, left=tuple(left))


def remove_run(store: TaskStore, run_id: int, *, idle_only: bool = False) -> list[str]:
    """Remove a run with its episodes, evaluations and checkpoints; the folder too, if
    nothing else is in it. Returns what was left alone, and why, in a line each.

    Raises UsageError if it is running and only an idle one is to be removed.
    """
    named = {Path(each.path) for each in store.checkpoints(run_id)}
    row = store.delete_run(run_id, idle_only=idle_only)
    directory = Path(row.directory)
    left = remove_files(store, row, sorted({*named, *our_files(directory)}))
    if not left and directory.is_dir():
        with suppress(OSError):  # something else is in it
            directory.rmdir()
        if directory.is_dir():
            left.append(f"{directory}: other files are in it")
    return left


def remove_files(store: TaskStore, row: RunRow, paths: list[Path]) -> list[str]:
    """Remove files of a run; returns what was left alone, and why, in a line each."""
    directory = Path(row.directory)
    if not directory.is_dir():
        if not is_here(row):
            return [f"{row.host}:{directory}: on another machine"]
        return [f"{directory}: not there any more"] if paths else []
    if (why := why_foreign(directory, store.folders)) is not None:
        return [f"{directory}: {why}"]
    left = []
    for path in paths:
        try:
            if not is_ours(path, directory):
                left.append(f"{path}: no file of the run")
                continue
            path.unlink(missing_ok=True)
        except OSError as error:
            left.append(f"{path}: {error.strerror}")
    return left


def _asked(
    store: TaskStore, names: Sequence[int | str], where: str | None
) -> Iterator[RunRow]:
    if bool(names) == (where is not None):
        raise UsageError("name runs, or give --where FILTER: one of the two")
    if where is None:
        yield from map(store.run, names)
        return
    if not where.strip():
        raise UsageError("--where '' is every run: if that is meant, write 'id>0'")
    last: int | None = None
    while page := store.runs(where, sort="id", limit=PAGE, after=last):
        yield from page
        last = page[-1].id
