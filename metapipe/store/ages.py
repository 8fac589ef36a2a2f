"""Moments as people write them: `30d` is thirty days ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..errors import UsageError
from .liveness import now
from .pruning_rule import PruningRule

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGE = re.compile(rf"(\d{{1,6}})\s*([{''.join(UNITS)}])")


def moment(text: str) -> datetime:
    """A time, in UTC where it says no zone, or the time an age ago. Raises
    UsageError."""
    text = text.strip()
    try:
        if age := AGE.fullmatch(text):
            return now() - timedelta(**{UNITS[age[2]]: int(age[1])})
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"'{text}' is neither a time nor an age: write 2026-11-26, "
            "2026-11-26T13:00, or 36h, 30d, 8w"
        ) from error


def pruning_rule(
    checkpoints_before: str | None, keep: str | None, episodes_before: str | None
) -> PruningRule:
    """A rule of such moments. Raises UsageError."""
    return PruningRule(
        None if checkpoints_before is None else moment(checkpoints_before),
        keep,
        None if episodes_before is None else moment(episodes_before),
    )
