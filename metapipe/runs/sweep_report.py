"""A search, as it stands: its trials, the best of them, and which settings mattered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialRow:
    """A trial of a search."""

    number: int
    status: str
    """completed, stopped (early, by the search), failed, running, lost (its worker
    died, and another takes it up), or waiting."""

    run: int | None
    """Its run, once there is one."""

    value: float | None
    """The best of its validations, of a completed one; of others, the latest."""

    step: int | None
    """Of the latest validation."""

    settings: Mapping[str, Any]
    """What was tried."""


@dataclass(frozen=True)
class SweepReport:
    """A search, as it stands."""

    name: str
    metric: str
    direction: str
    trials: tuple[TrialRow, ...]
    importance: Mapping[str, float]
    """How much of the variance of the figure is each setting's, from 0 to 1 (functional
    ANOVA, Hutter et al., ICML 2014); empty for fewer than four completed trials, or
    where all came out alike."""

    @property
    def counts(self) -> dict[str, int]:
        """Trials by status."""
        return dict(Counter(trial.status for trial in self.trials))

    @property
    def best(self) -> TrialRow | None:
        """The completed trial with the best figure."""
        return next(iter(self.ranked), None)

    @property
    def ranked(self) -> list[TrialRow]:
        """The completed trials, the best first."""
        done = [t for t in self.trials if t.status == "completed"]
        sign = 1 if self.direction == "minimize" else -1
        return sorted(done, key=lambda trial: (sign * (trial.value or 0), trial.number))
