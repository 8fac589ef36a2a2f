"""Intervals that something is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, FiniteFloat


def _two(ends: object) -> object:
    if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) != 2:
        raise ValueError("two numbers are wanted, [least, greatest]")
    return ends


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low > high:
        raise ValueError(f"({low:g}, {high:g}): the first is the greater")
    return ends


Interval = Annotated[
    tuple[FiniteFloat, FiniteFloat], BeforeValidator(_two), AfterValidator(_ordered)
]
"""Least and greatest."""
