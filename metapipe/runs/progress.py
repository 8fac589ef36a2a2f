"""The progress display: an observer of the run like any plugin's."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from ..events import CheckpointInfo, RunInfo
from ..hookspecs import hookimpl
from ..problem import Kind
from .display import QUIET_SECONDS, can_draw, duration, left_of, say
from .gauge import NAMES, EvaluationGauge, Gauge


def display() -> Lines | Bar:
    """A bar on a terminal and in a notebook, plain lines elsewhere."""
    return Bar() if can_draw() else Lines()


def describe(metrics: Mapping[str, float], kind: Kind | None = None) -> str:
    """The figures worth a glance; of control returns, which are minus losses."""
    name, sign = ("return", -1) if kind == "control" else ("loss", 1)
    parts = []
    if "loss" in metrics:
        parts.append(f"{name} {sign * metrics['loss']:.3f}")
    if "accuracy" in metrics:
        parts.append(f"acc {100 * metrics['accuracy']:.1f} %")
    if "val_accuracy" in metrics:
        parts.append(f"val {100 * metrics['val_accuracy']:.1f} %")
    elif "val_loss" in metrics:
        parts.append(f"val {sign * metrics['val_loss']:.3f}")
    if "episodes_per_second" in metrics:
        parts.append(f"{metrics['episodes_per_second']:.0f} episodes/s")
    return "  ".join(parts)


class Lines:
    """A line at intervals."""

    def __init__(self) -> None:
        self._latest: dict[str, float] = {}
        self._begun = time.monotonic()
        self._shown = self._judging = self._begun
        self._first = 0

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """Say which run, and from where on."""
        where = f" from iteration {run.step}" if run.step else ""
        say(f"run {run.id}{where}: {run.iterations} iterations")
        self._begun, self._first = time.monotonic(), run.step

    @hookimpl
    def step_recorded(
        self, run: RunInfo, step: int, metrics: Mapping[str, float]
    ) -> None:
        """A line, if the last is long enough ago, or a validation came."""
        self._latest.update(metrics)
        now = time.monotonic()
        if "val_loss" in metrics or now - self._shown >= QUIET_SECONDS:
            self._shown = now
            left = _left(run, now - self._begun, step, self._first)
            say(
                f"{step}/{run.iterations}  {describe(self._latest, run.kind)}  "
                f"{duration(left)} left"
            )

    @hookimpl
    def evaluation_advanced(self, split: str, done: int, episodes: int) -> None:
        """A line, if the last is long enough ago."""
        now = time.monotonic()
        if not done:
            self._judging = now
        elif done < episodes and now - self._shown >= QUIET_SECONDS:
            self._shown = now
            left = left_of(now - self._judging, done, episodes)
            say(f"{NAMES[split]} {done}/{episodes} episodes  {left}")

    @hookimpl
    def run_finished(self, run: RunInfo, status: str) -> None:
        """Say how it ended."""
        say(f"run {run.id} {status}")


class Figures(ProgressColumn):
    """The latest figures, on one line."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        """As text."""
        return Text(task.fields.get("figures", ""), style="cyan")


class Bar:
    """A live line: bar, iterations, figures, time left; and one of an evaluation."""

    def __init__(self) -> None:
        self._progress = Gauge(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            Figures(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._evaluation = EvaluationGauge(self._progress)
        self._latest: dict[str, float] = {}

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """Show the bar."""
        self._begun, self._first = time.monotonic(), run.step
        self._task = self._progress.add_task(
            f"run {run.id}", total=run.iterations, completed=run.step, left=""
        )
        self._progress.start()

    @hookimpl
    def step_recorded(
        self, run: RunInfo, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Move it."""
        self._latest.update(metrics)
        seconds = time.monotonic() - self._begun
        left = f"{duration(_left(run, seconds, step, self._first))} left"
        figures = describe(self._latest, run.kind)
        self._progress.update(self._task, completed=step, figures=figures, left=left)

    @hookimpl
    def evaluation_advanced(self, split: str, done: int, episodes: int) -> None:
        """A row below, while it takes more than a moment."""
        self._evaluation.advance(split, done, episodes)

    @hookimpl
    def checkpoint_saved(self, run: RunInfo, checkpoint: CheckpointInfo) -> None:
        """A new best is worth a line of its own."""
        if checkpoint.which == "best" and "val_accuracy" in self._latest:
            best = 100 * self._latest["val_accuracy"]
            self._progress.console.print(
                f"iteration {checkpoint.step}: best validation so far, {best:.2f} %",
                highlight=False,
            )

    @hookimpl
    def run_finished(self, run: RunInfo) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    @hookimpl
    def run_failed(self, run: RunInfo) -> None:
        """The error's line comes next."""
        self._progress.stop()


def _left(run: RunInfo, seconds: float, step: int, first: int) -> float:
    """Seconds that are left to the end of the iterations, or of the minutes, if that
    comes first, after some of them."""
    left = seconds * (run.iterations - step) / max(step - first, 1)
    minutes = run.experiment.get("training", {}).get("minutes")
    return left if minutes is None else max(min(left, 60 * minutes - seconds), 0.0)
