"""How a training run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..shown import Shown
from ..store.records import EvaluationRow


@dataclass(frozen=True)
class Outcome(Shown):
    """How a training run ended."""

    run_id: int
    status: str
    reason: str | None
    """Why an observer stopped it."""

    step: int
    metrics: Mapping[str, float]
    evaluation: EvaluationRow | None
    directory: Path
    device: str
    mapping: str
    rank: int = 0
    """Of several processes that of this one: all but 0 tell less, and have no
    evaluation."""
