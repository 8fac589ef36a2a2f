"""Rows by their class or group."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from metapipe.data import Row, is_missing, normal_name

logger = logging.getLogger("metapipe")


def by_name(rows: Iterable[Row], column: str) -> Mapping[str, list[Row]]:
    """The rows of each class or group that a column names, in their order. A name that
    is a usual word for what is missing is told of."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[normal_name(row[column])].append(row)
    for name in sorted(filter(is_missing, found)):
        logger.warning(
            "%d rows say '%s' in '%s', and are taken for a class of that name: if it "
            "says that nothing is known, leave them out",
            len(found[name]),
            name,
            column,
        )
    return found
