"""What observers of a run are told: small frozen records, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class RunInfo:
    """A run as its observers see it."""

    id: int
    name: str | None
    experiment: Mapping[str, Any]
    """The resolved experiment, as the store keeps it."""

    directory: Path
    """Where checkpoints are written."""

    step: int
    """Meta-iterations already done when the run started or was resumed."""

    iterations: int
    """Meta-iterations the run will have done in the end."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint file and what identifies it."""

    path: Path
    sha256: str
    bytes: int
    step: int
    kind: Literal["latest", "best"]
