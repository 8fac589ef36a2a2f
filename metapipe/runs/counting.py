"""How far one is through many things, told on stderr once that takes a moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from .display import MOMENT, QUIET_SECONDS, can_draw, left_of, say

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


def counted(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The things one after the other: with a bar on a terminal and in a notebook, gone
    in the end; elsewhere with a line at intervals. `count` is their number."""
    steps = _drawn if can_draw() else _said
    return steps(things, count, what)


def _drawn(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    begun = time.monotonic()
    bar: Progress | None = None
    with ExitStack() as shown:
        for done, thing in enumerate(things, start=1):
            yield thing
            if bar is None and time.monotonic() - begun > MOMENT:
                bar = shown.enter_context(_bar())
                bar.add_task(what, total=count)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)


def _bar() -> Progress:
    """One that is gone in the end."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    return Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )


def _said(things: Iterable[T], count: int, what: str) -> Iterator[T]:
    begun = shown = time.monotonic()
    for done, thing in enumerate(things, start=1):
        yield thing
        now = time.monotonic()
        if now - shown >= QUIET_SECONDS and done < count:
            shown = now
            say(f"{what}  {done}/{count}  {left_of(now - begun, done, count)}")
