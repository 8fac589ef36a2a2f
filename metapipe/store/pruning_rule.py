"""What is pruned of a run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PruningRule:
    """What is pruned of a run."""

    checkpoints_before: datetime | None = None
    """Checkpoints written before; None for none."""

    keep: str | None = None
    """Which checkpoint stays all the same: best or latest; if there is only the other,
    that."""

    episodes_before: datetime | None = None
    """Episodes of evaluations made before, and of trainings last heard of before."""

    def __str__(self) -> str:
        """In the words of the options."""
        parts = {
            "checkpoints before": self.checkpoints_before,
            "keep": self.keep,
            "episodes before": self.episodes_before,
        }
        return ", ".join(
            f"{k} {v:%Y-%m-%d %H:%M} UTC" if isinstance(v, datetime) else f"{k} {v}"
            for k, v in parts.items()
            if v is not None
        )
