"""Stopping a training that no longer gets better: an observer like any plugin's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..events import RunInfo
from ..hookspecs import hookimpl
from .ranking import goodness


class Patience:
    """Stops after so many validations without a better one (`training.patience`)."""

    def __init__(
        self, validations: int, select: str, before: Sequence[float] = ()
    ) -> None:
        """`before` are the validations of a run that was killed and goes on, by
        `select`."""
        self._patience, self._select = validations, select
        self._before = before
        self._best = float("-inf")
        self._since = 0

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """Begin to count."""
        self._best, self._since = float("-inf"), 0
        for value in self._before:
            self._count(value)

    @hookimpl
    def stop_run(
        self, run: RunInfo, step: int, metrics: Mapping[str, float]
    ) -> str | None:
        """A reason to stop, after a validation."""
        if "val_loss" not in metrics:
            return None
        accuracy = metrics.get("val_accuracy")
        self._count(goodness(self._select, metrics["val_loss"], accuracy))
        if self._since < self._patience:
            return None
        return f"no better validation in {self._patience}: training.patience"

    def _count(self, value: float) -> None:
        self._since = 0 if value > self._best else self._since + 1
        self._best = max(self._best, value)
