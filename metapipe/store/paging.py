"""A part of a long list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, true
from sqlalchemy.orm import Session

from ..errors import FilterError, NotFoundError
from .schema import Episode

LARGEST = 2**63 - 1
"""Numbers beyond this no database takes, and no list is as long."""


@dataclass(frozen=True)
class Page:
    """At most `limit` rows, after `offset` others or after the row of id `after`.

    An offset is counted off row by row; the row after which a page begins is found at
    once, however deep.
    """

    limit: int | None
    offset: int = 0
    after: int | None = None

    def __post_init__(self) -> None:
        """Raises FilterError for a page that begins at two places."""
        if self.offset and self.after is not None:
            raise FilterError("a page begins at an offset or after a row, not at both")

    def cut(self, query: Select[Any]) -> Select[Any]:
        """The rows of this page."""
        limit = None if self.limit is None else min(self.limit, LARGEST)
        return query.limit(limit).offset(min(self.offset, LARGEST) or None)

    def behind(self, sort: str, key: Any) -> ColumnElement[bool]:
        """Whether a row comes after `after`. Raises FilterError for other orders."""
        if self.after is None:
            return true()
        if sort.strip() not in ("id", "-id"):
            raise FilterError(
                f"a page after row {self.after} needs the order id, -id or hardest, "
                f"not '{sort}'"
            )
        after, rising = min(self.after, LARGEST), sort.strip() == "id"
        behind: ColumnElement[bool] = key > after if rising else key < after
        return behind


def hardest_behind(
    session: Session, after: int | None
) -> Iterator[ColumnElement[bool]]:
    """What comes after an episode in the order of the hardest: parts in their order,
    in each of which the index leads to the first row.

    Raises NotFoundError.
    """
    if after is None:
        yield true()
        return
    last = session.get(Episode, min(after, LARGEST))
    if last is None:
        raise NotFoundError(f"no episode {after} in this store to go on after")
    same = Episode.accuracy == last.accuracy  # of no accuracy: IS NULL
    yield same & (Episode.loss == last.loss) & (Episode.id > last.id)
    yield same & (Episode.loss < last.loss)
    if last.accuracy is not None:  # a run has accuracies or has none
        yield Episode.accuracy > last.accuracy
