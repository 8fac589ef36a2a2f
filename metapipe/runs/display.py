"""Whether, when and in which words it is told how far something is, on stderr.

Without the library that draws: what is over in a moment needs none.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

MOMENT = 1.0
"""Seconds that need no display."""

QUIET_SECONDS = 10.0
"""Between two plain lines where stderr is no terminal."""


def can_draw() -> bool:
    """Whether there is a terminal, or a notebook that can draw: rich does it by a
    widget."""
    if sys.stderr.isatty():
        return True
    if "IPython" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return bool(Console().is_jupyter)


def say(line: str) -> None:
    """On stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def left_of(seconds: float, done: int, total: int) -> str:
    """The time that is left when some of `total` took so many seconds."""
    return f"{duration(seconds * (total - done) / done)} left" if done else ""


def duration(seconds: float) -> str:
    """As minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
