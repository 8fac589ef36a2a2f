"""What trackers are told of a run, in their few words: it begins, it has figures at a
step, there is something to know of it, it ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec

from metapipe import CheckpointInfo, DataError, EvaluationInfo, RunInfo, hookimpl

VALIDATION = "val_"
"""How figures begin that an evaluation brings, with their intervals."""


class Tracking(ABC):
    """Listens to one run on behalf of a tracker.

    Figures have the names that they have in the task store; those of an evaluation are
    `val_loss` or `test_accuracy`, and half the width of their 95 % interval is beside
    them, as `val_loss_ci95`.
    """

    step = 0
    """Meta-iterations done, as far as is known."""

    @abstractmethod
    def begin(self, run: RunInfo) -> None:
        """A run begins, or goes on at `run.step`: then what the tracker has behind it
        counts no more."""

    @abstractmethod
    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Figures at a step."""

    @abstractmethod
    def know(self, name: str, text: str) -> None:
        """A fact of the run that replaces what was known by that name."""

    @abstractmethod
    def end(self, status: str) -> None:
        """It ended: completed, interrupted, stopped or failed. It may go on one day."""

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """Open the tracker's own record of it, or go on with it."""
        self.step = run.step
        self.begin(run)

    @hookimpl
    def step_recorded(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures of training; those of a validation come with their intervals."""
        self.step = step
        values = {k: v for k, v in metrics.items() if not k.startswith(VALIDATION)}
        if values:
            self.figures(step, values)

    @hookimpl
    def evaluation_recorded(self, evaluation: EvaluationInfo) -> None:
        """Figures with their intervals."""
        values = {}
        for name, (mean, ci95) in evaluation.figures.items():
            values[f"{evaluation.split}_{name}"] = mean
            values[f"{evaluation.split}_{name}_ci95"] = ci95
        self.figures(max(self.step, evaluation.step), values)

    @hookimpl
    def checkpoint_saved(self, checkpoint: CheckpointInfo) -> None:
        """Where it is."""
        self.know(f"checkpoint-{checkpoint.which}", str(checkpoint.path))

    @hookimpl
    def run_finished(self, status: str) -> None:
        """Close the tracker's record."""
        self.end(status)

    @hookimpl
    def run_failed(self, error: BaseException) -> None:
        """Close it, with the reason."""
        try:
            self.know("error", f"{type(error).__name__}: {error}")
        finally:
            self.end("failed")


def title(run: RunInfo) -> str:
    """What people call it."""
    return run.name or f"run {run.id}"


def require(package: str, install: str) -> None:
    """Raises DataError if a package is not installed."""
    if find_spec(package) is None:
        raise DataError(f"{package} is not installed: {install}")
