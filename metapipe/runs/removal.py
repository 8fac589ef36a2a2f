"""A run removed: its rows in the store, and its files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .run_files import DIRECTORY, is_here, is_ours, our_files

if TYPE_CHECKING:
    from ..store import TaskStore
    from ..store.records import RunRow


def remove_run(store: TaskStore, run_id: int) -> list[str]:
    """Remove a run with its episodes, evaluations and checkpoints; the folder too, if
    nothing else is in it. Returns what was left alone, and why, in a line each."""
    named = {Path(each.path) for each in store.checkpoints(run_id)}
    row = store.delete_run(run_id)
    directory = Path(row.directory)
    left = remove_files(store, row, sorted({*named, *our_files(directory)}))
    if not left and directory.is_dir():
        with suppress(OSError):  # something else is in it
            directory.rmdir()
        if directory.is_dir():
            left.append(f"{directory}: other files are in it")
    return left


def remove_files(store: TaskStore, row: RunRow, paths: list[Path]) -> list[str]:
    """Remove files of a run; returns what was left alone, and why, in a line each.

    A store's rows may name any folder: only in a run's own one, below those of the
    store, is anything removed.
    """
    directory = Path(row.directory)
    if not directory.is_dir():
        if not is_here(row):
            return [f"{row.host}:{directory}: on another machine"]
        return [f"{directory}: not there any more"] if paths else []
    if (why := _foreign(store, directory)) is not None:
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


def _foreign(store: TaskStore, directory: Path) -> str | None:
    """Why a directory is not one of the store's; None if it is."""
    if not DIRECTORY.fullmatch(directory.name):
        return "no folder of a run"
    if directory.is_symlink():
        return "a link"
    if directory.parent.resolve() not in store.folders:
        known = " or ".join(map(str, store.folders))
        return f"not below {known or 'a folder of this store'}"
    return None
