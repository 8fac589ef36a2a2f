"""Images that are changed at random, as pure in the task as episodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import torch

from ..dataset import Source, SourceFacts
from ..episode import Episodes, Samples, Task
from ..errors import UnsupportedError
from .image_changes import Floats, Numbers, jittered, moved, turned
from .sampling import Integers, Words, integers, keys, uniform


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image: each image is drawn for on its own."""

    flip: bool = True
    """Left and right change places in one image of two."""

    pad: int = 0
    """The image is cut, in its own size and anywhere, out of itself with so many rows
    and columns of zeros on each side."""

    jitter: float = 0.0
    """How far the factors of brightness, contrast and saturation may be from 1."""

    turn: bool = False
    """Whether an image is turned, scaled and shifted a little, as drawings may be."""


@dataclass(frozen=True)
class AugmentedSource(Source):
    """The episodes of a source of labelled images, with the images augmented.

    What happens to an image is a function of the task's integers, of the set that it is
    in (support or query), its label, and its number among those of that label.
    """

    source: Source
    augmentation: Augmentation = Augmentation()

    @cached_property
    def facts(self) -> SourceFacts:
        """The source's, with a fingerprint that tells the augmentation too."""
        facts = self.source.facts
        text = json.dumps([facts.fingerprint, asdict(self.augmentation)])
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return replace(facts, fingerprint=fingerprint)

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """The source's: of the images as they are kept."""
        return self.source.digests()

    def check(self, task: Task) -> None:
        """As the source does; and it has to have labelled images."""
        facts = self.source.facts
        if facts.kind != "classification" or len(facts.shape) != 3:
            raise UnsupportedError(
                f"only labelled images are augmented, not {facts.kind} of shape "
                f"{facts.shape}"
            )
        self.source.check(task)

    def part(self, task: Task) -> str | None:
        """As the source says."""
        return self.source.part(task)

    def joined(self, other: Source) -> Source:
        """The sources joined, and the same done to all of their images."""
        plain = other.source if isinstance(other, type(self)) else other
        return replace(self, source=self.source.joined(plain))

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The source's episodes: support (T, n, C, H, W), query alike."""
        drawn, key = self.source.draw(tasks), keys(tasks)
        first = tasks[0]
        return drawn._replace(
            support=self._augmented(drawn.support, key, "support", first.shots),
            query=self._augmented(drawn.query, key, "query", first.queries),
        )

    def _augmented(self, samples: Samples, key: Words, part: str, each: int) -> Samples:
        """The samples of one part of T episodes, with at most `each` of a label."""
        if not samples.targets.numel():
            return samples
        labels, pad = samples.targets.numpy(), self.augmentation.pad
        places = _places(labels, each)

        def drawn(what: str, below: int) -> Integers:
            shape = (int(labels.max()) + 1, each)
            found = integers(key, f"augment {part} {what}", *shape, below=below)
            taken: Integers = np.take_along_axis(found.reshape(len(key), -1), places, 1)
            return taken.ravel()

        def numbers(what: str, count: int) -> Numbers:
            shape = (int(labels.max()) + 1, each, count)
            found = uniform(key, f"augment {part} {what}", *shape)
            flat = found.reshape(len(key), -1, count)
            taken: Numbers = np.take_along_axis(flat, places[..., None], 1)
            return taken.reshape(-1, count)

        images: Floats = samples.inputs.flatten(0, 1).numpy()
        if self.augmentation.turn:
            images = turned(images, numbers("turn", 4))
        if self.augmentation.flip or pad:
            flips = drawn("flip", 2 if self.augmentation.flip else 1)
            moves = flips, drawn("rows", 2 * pad + 1), drawn("columns", 2 * pad + 1)
            images = moved(images, *moves, pad)
        if jitter := self.augmentation.jitter:
            images = jittered(images, numbers("jitter", 3), jitter)
        inputs = torch.from_numpy(images).reshape(samples.inputs.shape)
        return Samples(inputs, samples.targets)


def _places(labels: Integers, each: int) -> Integers:
    """(T, n): `each` times the label, and how many of that label came before. However a
    source lays out its items, and however many are shown, an image keeps its place."""
    hot = labels[..., None] == np.arange(labels.max() + 1)
    before = np.take_along_axis(hot.cumsum(1), labels[..., None], 2)[..., 0] - 1
    places: Integers = labels * each + before
    return places
