"""Numbers that stand for what is missing, such as -999."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from metapipe.data import Row, is_missing

NINES = re.compile(r"-9{2,}")
DISTINCT = 3
"""Other values that a column has at least: with fewer it may be a code of names."""

logger = logging.getLogger("metapipe")


def tell_of_stand_ins(rows: Sequence[Row], columns: Iterable[str]) -> None:
    """Warn of -99, -999 and so on, where it comes more than once and lies further below
    all other values of its column than they lie apart."""
    for column in columns:
        numbers = _numbers(rows, column)
        value = min(numbers, default=0.0)
        count = numbers.pop(value, 0)
        if count < 2 or len(numbers) < DISTINCT or not NINES.fullmatch(f"{value:.0f}"):
            continue
        least, most = min(numbers), max(numbers)
        if least - value > most - least:
            logger.warning(
                "column '%s' is %.0f in %d rows, and %g to %g in all others: if that "
                "says that nothing is known, leave those cells empty",
                *(column, value, count, least, most),
            )


def _numbers(rows: Sequence[Row], column: str) -> Counter[float]:
    """How often each value comes; none if one is no number."""
    try:
        return Counter(float(r[column]) for r in rows if not is_missing(r[column]))
    except (TypeError, ValueError, OverflowError):
        return Counter()
