"""A chart as numbers: where on the picture each point of a line is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 10, 38
"""Room for the numbers at the axes."""

LARGEST, LEAST = 1e300, 1e-300
"""Between them spans can be computed with."""

TICKS = 5
"""About so many at an axis."""

COLOURS = 7
"""Of the style sheet; the lines after so many are dashed."""


@dataclass(frozen=True)
class Spot:
    """A value, its 95 % interval, and how both are written."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Line:
    """Values of one thing; a single one stands apart, as a diamond."""

    name: str
    spots: tuple[Spot, ...]
    apart: Spot | None = None

    @property
    def all(self) -> tuple[Spot, ...]:
        """Those of the line, and the one apart."""
        return self.spots if self.apart is None else (*self.spots, self.apart)


@dataclass(frozen=True)
class Tick:
    """A number at an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis."""

    title: str
    across: str
    """What the axis at the bottom has, such as iterations."""

    lines: tuple[Line, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no value is a number."""
        return not any(self._drawn(line.all) for line in self.lines)

    def is_drawn(self, spot: Spot) -> bool:
        """Whether it can be: it is a number, and no absurd one."""
        return _is_finite(spot)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the plane."""
        return LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM

    @cached_property
    def xticks(self) -> list[Tick]:
        """At the bottom."""
        return [Tick(self.x(v), text) for v, text in _ticks(*self._spans[0])]

    @cached_property
    def yticks(self) -> list[Tick]:
        """At the left."""
        return [Tick(self.y(v), text) for v, text in _ticks(*self._spans[1])]

    def x(self, value: float) -> float:
        """Where across."""
        low, high = self._spans[0]
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Where from the top."""
        low, high = self._spans[1]
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def path(self, line: Line) -> str:
        """The line itself, with gaps where a value is no number."""
        return " ".join(
            "M" + " ".join(f"{self.x(s.x)},{self.y(s.y)}" for s in part)
            for part in self._parts(line)
        )

    def band(self, line: Line) -> str:
        """The intervals; nothing where there are none."""
        if all(s.low == s.high for s in self._drawn(line.spots)):
            return ""
        return " ".join(
            "M"
            + " ".join(f"{self.x(s.x)},{self.y(s.high)}" for s in part)
            + " "
            + " ".join(f"{self.x(s.x)},{self.y(s.low)}" for s in reversed(part))
            + "Z"
            for part in self._parts(line)
        )

    def marks(self, line: Line) -> list[Spot]:
        """Points of a line that are few enough to be told apart."""
        drawn = self._drawn(line.spots)
        return drawn if len(drawn) <= 60 else []

    def colour(self, number: int) -> str:
        """The classes of the style sheet for the line of that number."""
        dashed = " dashed" if number // COLOURS % 2 else ""
        return f"c{number % COLOURS}{dashed}"

    @cached_property
    def _spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        spots = [spot for line in self.lines for spot in self._drawn(line.all)]
        across = [spot.x for spot in spots]
        up = [value for spot in spots for value in (spot.low, spot.high)]
        return _span(across), _span(up)

    def _parts(self, line: Line) -> Iterator[list[Spot]]:
        for finite, part in groupby(line.spots, key=_is_finite):
            if finite:
                yield list(part)

    def _drawn(self, spots: Sequence[Spot]) -> list[Spot]:
        return [spot for spot in spots if _is_finite(spot)]


def _is_finite(spot: Spot) -> bool:
    return all(abs(v) < LARGEST for v in (spot.x, spot.y, spot.low, spot.high))


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the most, and never nothing."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low > LEAST:
        return low, high
    room = abs(low) / 10 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Round numbers from low to high: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for number in range(
        math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1
    ):
        value = number * step
        plain = step >= 1e-4 and max(abs(low), abs(high)) < 1e6
        yield value, f"{value:.{digits}f}" if plain else f"{value:.3g}"
