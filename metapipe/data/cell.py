"""What a cell of a table holds: a number, nothing, or something else."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Any, Literal

from ..printable import one_line

Kind = Literal["number", "missing", "infinite", "date", "written", "name", "nested"]
"""`written` is a number written in another way, such as `1,5` or `12 %`."""

MISSING = frozenset(
    [
        *("", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "null", "nil"),
        *("none", "nan", "-nan", "nat", "missing", "?", ".", "-", "--", "\u2013"),
        *("\u2014", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    ]
)
"""Usual words for a value that is missing, in lower case."""

LARGEST = 3.4028e38
"""Inputs are numbers of single precision."""

SHOWN = 40
"""Characters of a value that a message shows."""

LONGEST = 64
"""Characters of a number or a date, however it is written."""

MONEY = "$\u20ac\u00a3\u00a5"
WRITTEN = re.compile(
    rf"[-+(]?\s*[{MONEY}]?\s*[-+]?\d[\d\s.,'\u2019_]*[%\u2030{MONEY}]?\)?", re.ASCII
)
OTHERWISE = re.compile(
    r"0x[0-9a-f]+|[-+]?\d*\.?\d+d[-+]?\d+|\d+:\d\d(:\d\d)?(\.\d+)?", re.I | re.ASCII
)
"""As C, Fortran and clocks write them."""

DATE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4})\b.*")


def kind_of(value: Any) -> Kind:
    """What a cell holds. Words of yes and no are names."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "name"
    number = number_of(value)
    if number is not None:
        return "number" if abs(number) <= LARGEST else "infinite"
    if is_missing(value):
        return "missing"
    if isinstance(value, date | time | timedelta):
        return "date"
    if isinstance(value, Mapping | list | tuple | set | bytes) or _is_array(value):
        return "nested"
    text = str(value).strip().replace("\xa0", " ").replace("\u202f", " ")
    text = text.replace("\u2212", "-").replace("\u2010", "-").replace("\u2011", "-")
    if len(text) > LONGEST:
        return "name"
    if DATE.fullmatch(text):
        return "date"
    written = WRITTEN.fullmatch(text) or OTHERWISE.fullmatch(text)
    return "written" if written else "name"


def is_missing(value: Any) -> bool:
    """Whether it is nothing, not a number, or a usual word for that."""
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    if _is_array(value):
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError, ArithmeticError):  # pandas.NA; Decimal("sNaN")
        return True


def number_of(value: Any) -> float | None:
    """The number, perhaps infinite; None if it is none, or missing."""
    if isinstance(value, str):
        if "_" in value:  # which Python reads over: 2024_01
            return None
    elif not hasattr(value, "__float__") or _is_array(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _is_array(value: Any) -> bool:
    return bool(getattr(value, "ndim", 0))


def shown(value: Any) -> str:
    """A value as a message quotes it: in one line, and not too long."""
    text = one_line(value)
    return f"'{text if len(text) <= SHOWN else text[:SHOWN] + '…'}'"
