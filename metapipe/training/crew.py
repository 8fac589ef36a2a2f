"""A crew: the processes that do one training together.

Each has a rank. All know the whole state and change it alike; each computes the
gradients of its own shards, and what all need of each other goes through here. Rank 0
leads: it alone has the store, the observers and the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

Value = TypeVar("Value")


class Crew(Protocol):
    """The processes of one training, as one of them sees them.

    All of them call the same methods in the same order. What one raises, the others
    hear of at their next call.
    """

    @property
    def rank(self) -> int:
        """This process, from 0: the one that leads."""

    @property
    def size(self) -> int:
        """How many there are."""

    def share(self, value: Value) -> Value:
        """What rank 0 has, on all; of what JSON has."""

    def gather(self, value: Value) -> list[Value]:
        """What each has, in the order of ranks, on all; of what JSON has."""

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process ends, unless one of them has; they hear of
        it at their next call."""

    def total(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """All rows (s, P) added in the order of ranks, (P,), on all; each rank has as
        many as `counts` says. The bits do not depend on who had which."""


@dataclass(frozen=True)
class Alone:
    """A crew of one."""

    rank: int = 0
    size: int = 1

    def share(self, value: Value) -> Value:
        """What it has."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """What it has."""
        return [value]

    def fail(self, error: BaseException) -> None:
        """There is nobody to tell."""

    def total(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """Its rows, added in order."""
        return in_order(rows)


ALONE = Alone()


def in_order(rows: Tensor) -> Tensor:
    """(s, P) -> (P,), one after the other: a sum whose bits are known."""
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total


def own(count: int, crew: Crew) -> range:
    """Which of so many parts are this process's: a block of them, none left out."""
    return range(crew.rank * count // crew.size, (crew.rank + 1) * count // crew.size)
