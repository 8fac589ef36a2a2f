"""Curves drawn on a terminal; nothing where there is none."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from ..printable import printable, shortened

HEIGHT = 10
AROUND = 30
"""Columns beside the curves: numbers and the name of the axis."""

NARROW, WIDE = 60, 110
"""Columns: below the one nothing is drawn, beyond the other nothing is added."""

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
SIGNS = "ox+*#@"
"""What tells lines apart without colours."""

LONGEST = 40
"""Characters of the name of a line."""

Line = Sequence[tuple[float, float]]
"""Places and values."""


def can_draw() -> bool:
    """Whether there is a terminal that has the signs, and the library to draw."""
    utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    smart = os.environ.get("TERM") != "dumb"
    return sys.stdout.isatty() and utf8 and smart and find_spec("plotille") is not None


def draw(lines: Mapping[str, Line], figure: str, axis: str = "iterations") -> None:
    """Lines by name over their axis, on a terminal that is wide enough; accuracies in
    per cent. NO_COLOR makes it black and white."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if lines and console.width >= NARROW:
        colour = not console.no_color and console.color_system is not None
        width = min(console.width, WIDE)
        console.print(Text.from_ansi(_drawn(lines, figure, axis, width, colour)))


def _drawn(
    lines: Mapping[str, Line], figure: str, axis: str, width: int, colour: bool
) -> str:
    import plotille

    picture = plotille.Figure()
    picture.width, picture.height = width - AROUND, HEIGHT
    picture.with_colors, picture.color_mode = colour, "names"
    picture.origin = False
    per_cent = figure == "accuracy"
    picture.x_label, picture.y_label = axis, "accuracy, %" if per_cent else figure
    picture.x_ticks_fkt = lambda low, high: f"{low:.4g}"
    picture.y_ticks_fkt = lambda low, high: f"{low:.4g}"
    places = [place for line in lines.values() for place, _ in line]
    picture.set_x_limits(min(places), max(places))
    for number, (name, line) in enumerate(lines.items()):
        picture.plot(
            [place for place, _ in line],
            [100 * value if per_cent else value for _, value in line],
            label=shortened(printable(name), LONGEST),
            lc=COLOURS[number % len(COLOURS)] if colour else None,
            marker=None if colour else SIGNS[number % len(SIGNS)],
        )
    shown: str = picture.show(legend=True)
    return shown
