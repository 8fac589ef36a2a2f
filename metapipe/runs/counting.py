"""How far one is through many things, told on stderr once that takes a moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from .gauge import MOMENT, can_draw, duration
from .progress import QUIET_SECONDS, say

T = TypeVar("T")


def counted(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The things one after the other: with a bar on a terminal and in a notebook, gone
    in the end; elsewhere with a line at intervals. `count` is their number."""
    steps = _drawn if can_draw() else _said
    return steps(things, count, what)


def _drawn(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    begun = time.monotonic()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )
    task = bar.add_task(what, total=count)
    with ExitStack() as shown:
        for thing in things:
            yield thing
            bar.advance(task)
            if not bar.live.is_started and time.monotonic() - begun > MOMENT:
                shown.enter_context(bar)


def _said(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    begun = shown = time.monotonic()
    for done, thing in enumerate(things, start=1):
        yield thing
        now = time.monotonic()
        if now - shown >= QUIET_SECONDS and done < count:
            shown, left = now, (now - begun) / done * (count - done)
            say(f"{what}  {done}/{count}  {duration(left)} left")
