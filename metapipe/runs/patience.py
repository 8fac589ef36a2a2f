"""Stopping a training that no longer gets better: an observer like any plugin's."""

from __future__ import annotations

from collections.abc import Mapping

from ..events import RunInfo
from ..hookspecs import hookimpl


class Patience:
    """Stops after so many validations without a better one (`training.patience`)."""

    def __init__(self, validations: int) -> None:
        self._patience = validations
        self._best = float("-inf")
        self._since = 0

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """Begin to count; a resumed run begins anew from its next validation."""
        self._best, self._since = float("-inf"), 0

    @hookimpl
    def stop_run(
        self, run: RunInfo, step: int, metrics: Mapping[str, float]
    ) -> str | None:
        """A reason to stop, after a validation."""
        if "val_loss" not in metrics:
            return None
        value = metrics.get("val_accuracy", -metrics["val_loss"])
        self._since = 0 if value > self._best else self._since + 1
        self._best = max(self._best, value)
        if self._since < self._patience:
            return None
        return f"no better validation in {self._patience}: training.patience"
