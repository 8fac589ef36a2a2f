"""A deleted run's files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def remove_files(directory: Path) -> None:
    """Checkpoints, and the folder if nothing else is in it."""
    for path in directory.glob("*.safetensors*"):
        path.unlink(missing_ok=True)
    if directory.is_dir() and not any(directory.iterdir()):
        shutil.rmtree(directory, ignore_errors=True)
