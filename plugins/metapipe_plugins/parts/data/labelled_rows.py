"""Rows by their class or group."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter

from metapipe.data import Row, how_many, is_missing, nearly_one, normal_name

logger = logging.getLogger("metapipe")


def by_name(rows: Iterable[Row], column: str) -> Mapping[str, list[Row]]:
    """The rows of each class or group that a column names, in their order."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[normal_name(row[column])].append(row)
    return found


def tell_of_names(found: Mapping[str, list[Row]], column: str) -> None:
    """Of names that are a usual word for what is missing, and of two that may be one,
    written in two ways."""
    for name in sorted(filter(is_missing, found)):
        logger.warning(
            "%d rows say '%s' in '%s', and are taken for a class of that name: if it "
            "says that nothing is known, leave them out",
            len(found[name]),
            name,
            column,
        )
    for names in nearly_one(found):
        logger.warning(
            "'%s' has names that may be one, written in two ways: %s",
            column,
            " and ".join(map(ascii, names)),
        )


def tell_of_doubles(found: Mapping[str, list[Row]], column: str) -> None:
    """Of rows that are there twice: support and query then share them."""
    doubles = {
        name: len(rows) - len({tuple(map(str, row.values())) for row in rows})
        for name, rows in found.items()
    }
    count, (name, _) = sum(doubles.values()), max(doubles.items(), key=itemgetter(1))
    if count:
        logger.warning(
            "%s there twice, most of them where '%s' is '%s': support and "
            "query may share them",
            *(how_many(count, "row", "are"), column, name),
        )
