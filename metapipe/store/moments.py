"""Times as people ask for them: a day, a minute, a second, in the zone of lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, not_

from ..errors import FilterError

LENGTHS = (
    (re.compile(r"[^T ]*"), timedelta(days=1)),
    (re.compile(r"[^T ]*[T ]\d\d"), timedelta(hours=1)),
    (re.compile(r"[^T ]*[T ]\d\d:?\d\d"), timedelta(minutes=1)),
    (re.compile(r"[^T ]*[T ]\d\d:?\d\d:?\d\d"), timedelta(seconds=1)),
)
"""How long what is written is: `2026-11-24` is a day, and lists show minutes."""

ZONE = re.compile(r"(?<=\d)(Z|[+-]\d\d(:?\d\d(:?\d\d([.]\d+)?)?)?)$")
"""An offset, behind a time of day."""


def compare(column: Any, operator: str, name: str, text: str) -> ColumnElement[bool]:
    """Whether a time is in, before or after the day, hour, minute or second that `text`
    names; a fraction of a second is a point in time.

    Without an offset that is in this machine's zone, as lists show times. Raises
    FilterError.
    """
    begin, end = _span(name, text)
    before, inside = column < begin, and_(column >= begin, column < end)
    conditions: dict[str, ColumnElement[bool]] = {
        "=": inside,
        "!=": not_(inside),
        "<": before,
        "<=": column < end,
        ">": column >= end,
        ">=": column >= begin,
    }
    return conditions[operator]


def _span(name: str, text: str) -> tuple[datetime, datetime]:
    """Begin and end of what is written, in UTC."""
    try:
        begin = datetime.fromisoformat(text)
        clock = ZONE.sub("", text) if begin.tzinfo else text
        found = (length for shape, length in LENGTHS if shape.fullmatch(clock))
        # Added on the calendar: a day in which clocks are set has 23 hours, or 25.
        end = begin + next(found, timedelta(microseconds=1))
        return begin.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # in UTC it may be before year 1
        raise FilterError(
            f"'{name}' is a time and cannot be '{text}': write 2026-11-24, "
            "'2026-11-24T13:00' or '2026-11-24T13:00+01:00'"
        ) from error
