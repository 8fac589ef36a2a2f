"""What a data set is: where tasks come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .encoder import Encoder
from .episode import Episodes, Task
from .plugin import Plugin
from .problem import Kind, Split


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a split before anything is drawn."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of one input."""

    fingerprint: str
    """A hash of the content: equal fingerprints draw equal episodes."""

    outputs: int | None = None
    """Numbers to predict per input; None for classification (as many as ways)."""

    classes: Sequence[str] = ()
    """Names of the classes, in order; empty for regression."""

    groups: Sequence[str] = ()
    """Names of the groups a regression's tasks are; empty where they have none."""

    sizes: Sequence[int] = ()
    """Items of each class, or rows of each group; empty if there is no end."""

    nbytes: int = 0
    """Bytes of the items as they are kept; 0 if they are made when drawn."""

    encoder: Encoder | None = None
    """What makes inputs of new items; None if the data set cannot take any."""


class Source(ABC):
    """One split of a data set, opened: draws episodes."""

    @property
    @abstractmethod
    def facts(self) -> SourceFacts:
        """What is known of it; asked for often, so worth keeping."""

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """A hash of each item with its class, to find items that are there twice, and
        those of another data set that were trained on."""
        return iter(())

    @abstractmethod
    def check(self, task: Task) -> None:
        """Raise UnsupportedError if such an episode cannot be drawn from this split."""

    @abstractmethod
    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The episodes of `tasks`, which agree in all but their index.

        A pure function of the tasks: neither call order nor process matters. Labels are
        assigned to classes in random order, and support and query are disjoint.
        """


class Dataset(Plugin):
    """Where tasks come from."""

    def check(self) -> None:
        """Raise DataError, with the name of the setting, if a file or a folder that the
        settings name is not there, or one that is needed is not named.

        Quick: nothing is decoded. Asked before a run is resolved; `open` asks it again.
        """

    @abstractmethod
    def open(self, split: Split) -> Source:
        """The split, ready to draw from. May build and cache a bank at first use.

        Raises DataError if the data cannot be found or read.
        """
