"""A run removed: its rows in the store, and its files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..store import TaskStore


def remove_run(store: TaskStore, run_id: int) -> None:
    """Remove a run with its episodes, evaluations and checkpoints."""
    row = store.delete_run(run_id)
    _remove_files(Path(row.directory))


def _remove_files(directory: Path) -> None:
    """Checkpoints, and the folder if nothing else is in it."""
    for path in directory.glob("*.safetensors*"):
        path.unlink(missing_ok=True)
    if directory.is_dir() and not any(directory.iterdir()):
        shutil.rmtree(directory, ignore_errors=True)
