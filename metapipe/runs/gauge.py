"""What a terminal shows while something takes more than a moment, and no longer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

from .display import MOMENT, can_draw, left_of
from .evaluations import Advanced, untold

NAMES = {"train": "training classes", "val": "validation", "test": "test"}
"""What an evaluation on a split is called."""


class Gauge(Progress):
    """A display whose rows appear only after a moment."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The table of the rows that are there long enough."""
        rows = [row for row in self.tasks if (row.elapsed or 0.0) >= MOMENT]
        if rows:
            yield self.make_tasks_table(rows)


class EvaluationGauge:
    """The row of an evaluation in a display: episodes, and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._row: TaskID | None = None
        self._begun = 0.0

    def advance(self, split: str, done: int, episodes: int) -> None:
        """So many are judged; the row goes when all are."""
        if self._row is None:
            self._begun = time.monotonic()
            self._row = self._progress.add_task(NAMES[split], total=episodes, left="")
        left = left_of(time.monotonic() - self._begun, done, episodes)
        self._progress.update(self._row, completed=done, left=left)
        if done == episodes:
            self._progress.remove_task(self._row)
            self._row = None


@contextmanager
def counting(shown: bool = True) -> Iterator[Advanced]:
    """A display of evaluations on stderr, if it is live; yields what moves it."""
    if not (shown and can_draw()):
        yield untold
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Gauge(*columns, console=Console(stderr=True), transient=True) as gauge:
        yield EvaluationGauge(gauge).advance
