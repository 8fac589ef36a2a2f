"""Episodes from arrays in memory: classes of items, or groups of rows to regress."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dataset import Source, SourceFacts
from ..encoder import Encoder
from ..episode import Episodes, Samples, Task
from ..problem import Kind
from .class_episodes import (
    choose_items,
    digest,
    require_items,
    require_one_way,
)
from .sampling import Integers, choose, keys

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
    def sizes(self) -> NDArray[np.int64]:
        """(names,): items of each."""
        return np.diff(self.starts)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """A hash of each item, with the class or group it is of."""
        for number, name in enumerate(self.names):
            for item in self.items[self.starts[number] : self.starts[number + 1]]:
                yield digest(item), name

    def _known(self, kind: Kind, *content: Any, **more: Any) -> SourceFacts:
        """The facts; `content` decides the episodes beside items, names and starts."""
        facts = [list(self.names), self.starts.tolist(), *content]
        digest = hashlib.sha256(json.dumps([facts, self.items.shape]).encode())
        made_from = self.made_from.encode()
        digest.update(made_from or np.ascontiguousarray(self.items).data)
        return SourceFacts(
            kind=kind,
            shape=tuple(self.items.shape[1:]),
            fingerprint=digest.hexdigest(),
            sizes=self.sizes.tolist(),
            nbytes=int(self.items.nbytes),
            encoder=self.encoder,
            **more,
        )


@dataclass(frozen=True)
class ArraySource(Stacked):
    """Classes of items, class after class."""

    held: Tensor | None = field(default=None, kw_only=True)
    """The items on a device, if they are kept there."""

    @cached_property
    def facts(self) -> SourceFacts:
        """A class a name."""
        return self._known("classification", classes=self.names)

    def check(self, task: Task) -> None:
        """Enough classes, and enough items in every class."""
        require_items(self.names, self.sizes.tolist(), task)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Items: support (T, ways * shots, *shape), query alike."""
        chosen = choose_items(tasks, self.sizes)
        places = self.starts[chosen.classes][..., None] + chosen.items
        return chosen.episodes(tasks, self._inputs(places))

    def on(self, device: str) -> Self:
        """With its items there."""
        items = torch.from_numpy(np.array(self.items))  # which may be read-only
        return replace(self, held=items.to(device))

    def _inputs(self, places: Integers) -> Tensor:
        if self.held is None:
            return torch.from_numpy(self.items[places])
        return self.held[torch.from_numpy(places).to(self.held.device)]


@dataclass(frozen=True)
class GroupSource(Stacked):
    """Groups of rows with numbers to predict: a group is a task."""

    targets: Array = field(kw_only=True)
    """(n, outputs)."""

    @cached_property
    def facts(self) -> SourceFacts:
        """A group a name."""
        outputs = int(self.targets.shape[1])
        content = self.targets.tolist()
        return self._known("regression", content, outputs=outputs, groups=self.names)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the rows with their targets: inputs may be the same in every group."""
        for (key, name), target in zip(super().digests(), self.targets, strict=True):
            yield key + digest(target), name

    def check(self, task: Task) -> None:
        """One way, and enough rows in every group."""
        require_one_way(task)
        require_items(self.names, self.sizes.tolist(), task)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Rows of one group each: support (T, shots, *shape), query alike."""
        shots, count = tasks[0].shots, tasks[0].shots + tasks[0].queries
        key = keys(tasks)
        group = choose(key, "groups", len(self.names), 1)[:, 0]
        rows = choose(key, "rows", self.sizes[group], count)
        places = self.starts[group][:, None] + rows
        inputs = torch.from_numpy(self.items[places])
        targets = torch.from_numpy(self.targets[places])
        return Episodes(
            tuple(tasks),
            Samples(inputs[:, :shots], targets[:, :shots]),
            Samples(inputs[:, shots:], targets[:, shots:]),
        )
