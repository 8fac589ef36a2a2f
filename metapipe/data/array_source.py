"""Episodes from arrays in memory: classes of items, or groups of rows to regress."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dataset import Source
from ..encoder import Encoder
from ..episode import Episodes, Samples, Task
from ..problem import Kind
from .class_episodes import (
    choose_items,
    digest,
    labels_of,
    require_items,
    require_one_way,
)
from .sampling import choose, keys

Array = NDArray[Any]


@dataclass(frozen=True)
class Stacked(Source):
    """Items class after class, or group after group, in one array."""

    items: Array
    """(n, *shape)."""

    names: Sequence[str]
    """Of the classes or groups, in the order of their items."""

    starts: NDArray[np.int64]
    """(names + 1,): number c has the items starts[c] to starts[c + 1]."""

    encoder: Encoder | None = None
    """What made the items."""

    made_from: str = ""
    """A hash of what the items were computed from, if computing them again may round
    otherwise: it stands for them in the fingerprint."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item."""
        return tuple(self.items.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """Of items, names and starts, and of what else there is."""
        facts = [list(self.names), self.starts.tolist(), *self._facts()]
        content = hashlib.sha256(json.dumps([facts, self.items.shape]).encode())
        made_from = self.made_from.encode()
        content.update(made_from or np.ascontiguousarray(self.items).data)
        return content.hexdigest()

    @property
    def sizes(self) -> Sequence[int]:
        """Items of each."""
        return [int(size) for size in np.diff(self.starts)]

    @property
    def nbytes(self) -> int:
        """In memory."""
        return int(self.items.nbytes)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the items."""
        for number, name in enumerate(self.names):
            for item in self.items[self.starts[number] : self.starts[number + 1]]:
                yield digest(item), name

    def _facts(self) -> list[Any]:
        return []


@dataclass(frozen=True)
class ArraySource(Stacked):
    """Classes of items, class after class."""

    @property
    def kind(self) -> Kind:
        """Classification."""
        return "classification"

    @property
    def outputs(self) -> None:
        """As many as an episode has ways."""
        return

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.names

    def check(self, ways: int, shots: int, queries: int) -> None:
        """Enough classes, and enough items in every class."""
        require_items(self.classes, np.diff(self.starts), ways, shots, queries)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Items: support (T, ways * shots, *shape), query alike."""
        shots = tasks[0].shots
        classes, items = choose_items(tasks, np.diff(self.starts))
        chosen = self.items[self.starts[classes][..., None] + items]
        return Episodes(
            tuple(tasks),
            Samples(_flat(chosen[:, :, :shots]), labels_of(tasks, shots)),
            Samples(_flat(chosen[:, :, shots:]), labels_of(tasks, tasks[0].queries)),
            torch.from_numpy(classes),
            torch.from_numpy(items),
        )


@dataclass(frozen=True)
class GroupSource(Stacked):
    """Groups of rows with numbers to predict: a group is a task."""

    targets: Array = field(kw_only=True)
    """(n, outputs)."""

    @property
    def kind(self) -> Kind:
        """Regression."""
        return "regression"

    @property
    def outputs(self) -> int:
        """Numbers to predict."""
        return int(self.targets.shape[1])

    @property
    def classes(self) -> Sequence[str]:
        """None: groups are tasks, not classes."""
        return ()

    @property
    def groups(self) -> Sequence[str]:
        """Names of the groups."""
        return self.names

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the rows with their targets: inputs may be the same in every group."""
        for (key, name), target in zip(super().digests(), self.targets, strict=True):
            yield key + digest(target), name

    def _facts(self) -> list[Any]:
        return [self.targets.tolist()]

    def check(self, ways: int, shots: int, queries: int) -> None:
        """One way, and enough rows in every group."""
        require_one_way(ways)
        require_items(self.groups, np.diff(self.starts), 1, shots, queries)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Rows of one group each: support (T, shots, *shape), query alike."""
        shots, count = tasks[0].shots, tasks[0].shots + tasks[0].queries
        key = keys(tasks)
        group = choose(key, "groups", len(self.groups), 1)[:, 0]
        rows = choose(key, "rows", np.diff(self.starts)[group], count)
        places = self.starts[group][:, None] + rows
        inputs = torch.from_numpy(self.items[places])
        targets = torch.from_numpy(self.targets[places])
        return Episodes(
            tuple(tasks),
            Samples(inputs[:, :shots], targets[:, :shots]),
            Samples(inputs[:, shots:], targets[:, shots:]),
        )


def _flat(items: Array) -> Tensor:
    """(T, N, k, *shape) -> (T, N * k, *shape)."""
    tasks, ways, count, *shape = items.shape
    return torch.from_numpy(items.reshape(tasks, ways * count, *shape))
