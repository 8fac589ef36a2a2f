"""Episodes of several sources, each from one of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..dataset import Source, SourceFacts
from ..episode import Episodes, Samples, Task
from ..errors import DataError, UnsupportedError
from .sampling import Integers, keys, uniform


@dataclass(frozen=True)
class MixedSource(Source):
    """Each episode is of one of several sources of labelled items, which is drawn by
    the task's integers; classes of two are never in one episode.

    Raises DataError if they do not fit together.
    """

    sources: Mapping[str, Source]
    """By name, which is put before the names of their classes."""

    weights: tuple[float, ...]
    """How often an episode is of each, in their order; only their ratios matter."""

    def __post_init__(self) -> None:
        first, *others = self.sources
        for name, source in self.sources.items():
            if source.facts.kind != "classification":
                kind = source.facts.kind
                raise DataError(f"{name} is {kind}: only classes are mixed")
        shape = self.sources[first].facts.shape
        for name in others:
            if self.sources[name].facts.shape != shape:
                raise DataError(
                    f"{name} has inputs of shape {self.sources[name].facts.shape}, and "
                    f"{first} {shape}: let all be made one size"
                )

    @cached_property
    def facts(self) -> SourceFacts:
        """All classes, those of the first source first; the encoder that all share."""
        every = {name: source.facts for name, source in self.sources.items()}
        known = [[n, f.fingerprint] for n, f in every.items()]
        text = json.dumps([known, self.weights])
        encoders = [facts.encoder for facts in every.values()]
        return SourceFacts(
            kind="classification",
            shape=next(iter(every.values())).shape,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
            classes=[f"{n}/{each}" for n, f in every.items() for each in f.classes],
            sizes=[size for facts in every.values() for size in facts.sizes],
            nbytes=sum(facts.nbytes for facts in every.values()),
            encoder=encoders[0] if encoders.count(encoders[0]) == len(every) else None,
        )

    def part(self, task: Task) -> str:
        """The source that the episode is of."""
        return [*self.sources][int(self._members([task])[0])]

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of all items."""
        for name, source in self.sources.items():
            for item, label in source.digests():
                yield item, f"{name}/{label}"

    def check(self, task: Task) -> None:
        """As each of them does."""
        for name, source in self.sources.items():
            try:
                source.check(task)
            except UnsupportedError as error:
                raise UnsupportedError(f"{name}: {error}") from error

    def joined(self, other: Source) -> Source:
        """Each source joined with its own other."""
        if not isinstance(other, MixedSource) or [*other.sources] != [*self.sources]:
            return super().joined(other)
        sources = {n: s.joined(other.sources[n]) for n, s in self.sources.items()}
        return MixedSource(sources, self.weights)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Support (T, n, *shape), query alike, each as its own source draws it."""
        members = self._members(tasks)
        numbers = range(len(self.sources))
        places = [np.flatnonzero(members == number) for number in numbers]
        drawn = [
            self._shifted(source.draw([tasks[int(n)] for n in own]), number)
            for number, (source, own) in enumerate(
                zip(self.sources.values(), places, strict=True)
            )
            if len(own)
        ]
        order = torch.from_numpy(np.argsort(np.concatenate(places), kind="stable"))

        def together(tensors: Sequence[Tensor | None]) -> Tensor:
            return torch.cat([each for each in tensors if each is not None])[order]

        support, query = (
            Samples(
                together([getattr(each, part).inputs for each in drawn]),
                together([getattr(each, part).targets for each in drawn]),
            )
            for part in ("support", "query")
        )
        return Episodes(
            tuple(tasks),
            support,
            query,
            together([each.class_indices for each in drawn]),
            together([each.items for each in drawn]),
        )

    def _members(self, tasks: Sequence[Task]) -> Integers:
        """(T,): the number of the source of each episode."""
        ends = np.cumsum(self.weights) / sum(self.weights)
        found = np.searchsorted(ends, uniform(keys(tasks), "member"), side="right")
        return np.minimum(found, len(ends) - 1).astype(np.int64)

    def _shifted(self, episodes: Episodes, number: int) -> Episodes:
        """Its classes as they are numbered here."""
        before = [*self.sources.values()][:number]
        first = sum(len(source.facts.classes) for source in before)
        assert episodes.class_indices is not None, "a source of classes tells them"
        return episodes._replace(class_indices=episodes.class_indices + first)
