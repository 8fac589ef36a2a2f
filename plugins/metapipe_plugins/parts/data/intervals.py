"""Intervals that something is drawn from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, FiniteFloat


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low > high:
        raise ValueError(f"({low:g}, {high:g}): the first is the greater")
    return ends


Interval = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ordered)]
"""Least and greatest."""
