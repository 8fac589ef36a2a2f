"""What a data set is: where tasks come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .encoder import Encoder
from .episode import Episodes, Task
from .plugin import Plugin
from .problem import Kind, Split

if TYPE_CHECKING:
    pass


class Source(ABC):
    """One split of a data set, opened: draws episodes."""

    encoder: Encoder | None = None
    """What makes inputs of new items; None if the data set cannot take any."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Classification or regression."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @property
    @abstractmethod
    def outputs(self) -> int | None:
        """Numbers to predict per input; None for classification (as many as ways)."""

    @property
    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Names of the classes, in order; empty for regression."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the content: equal fingerprints draw equal episodes."""

    @property
    def groups(self) -> Sequence[str]:
        """Names of the groups a regression's tasks are; empty where they have none."""
        return ()

    @property
    def sizes(self) -> Sequence[int]:
        """Items of each class, or rows of each group; empty if there is no end."""
        return ()

    @property
    def nbytes(self) -> int:
        """Bytes of the items as they are kept; 0 if they are made when drawn."""
        return 0

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """A hash of each item with its class, to find items that are there twice, and
        those of another data set that were trained on."""
        return iter(())

    @abstractmethod
    def check(self, ways: int, shots: int, queries: int) -> None:
        """Raise UnsupportedError if such episodes cannot be drawn from this split."""

    @abstractmethod
    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The episodes of `tasks`, which agree in ways, shots and queries.

        A pure function of the tasks: neither call order nor process matters. Labels are
        assigned to classes in random order, and support and query are disjoint.
        """


class Dataset(Plugin):
    """Where tasks come from."""

    @abstractmethod
    def open(self, split: Split) -> Source:
        """The split, ready to draw from. May build and cache a bank at first use.

        Raises DataError if the data cannot be found or read.
        """
