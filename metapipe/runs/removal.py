"""A run removed: its rows in the store, and its files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .run_files import DIRECTORY, tidy

if TYPE_CHECKING:
    from ..store import TaskStore


def remove_run(store: TaskStore, run_id: int) -> None:
    """Remove a run with its episodes, evaluations and checkpoints; the folder too, if
    nothing else is in it."""
    directory = Path(store.delete_run(run_id).directory)
    tidy(directory, needed=())
    if DIRECTORY.fullmatch(directory.name):
        with suppress(OSError):  # it is not there, or something else is in it
            directory.rmdir()
