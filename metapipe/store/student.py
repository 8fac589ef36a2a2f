"""Student's interval: how sure the mean of few independent values is."""

from __future__ import annotations

import math
from functools import cache


@cache
def t95(count: int) -> float:
    """Within so many standard errors lies the mean of `count` values, at least two, in
    95 of 100 samples."""
    # imported only where there is an interval
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(count - 1, 0.975))


def half_width(count: int, squares: float) -> float | None:
    """Half the width of the 95 % interval of a mean of `count` values, of which
    `squares` is the sum of squared deviations; None where there is none."""
    if count < 2 or not math.isfinite(squares):
        return None
    return t95(count) * math.sqrt(squares / (count - 1) / count)
