"""Episodes from a bank of labelled images: ready sources for data set plugins."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from torch import Tensor

from ..dataset import Source, SourceFacts
from ..episode import Episodes, Task
from .bank import Bank, Bytes
from .class_episodes import choose_items, digest, require_items
from .held_images import HeldImages
from .image_encoder import ImageEncoder, Moments, unit_floats
from .picture_files import BYTE
from .sampling import Integers, Words, integers, keys

TURNS = (0, 1, 2, 3)


@dataclass(frozen=True)
class ImageClass:
    """A class of a split: a class of the bank, perhaps turned."""

    index: int
    """Class in the bank."""

    turns: int = 0
    """Quarter turns, counter-clockwise."""


def with_rotations(classes: Sequence[ImageClass]) -> list[ImageClass]:
    """Each class in its four orientations, as four classes."""
    return [ImageClass(c.index, turns) for c in classes for turns in TURNS]


@dataclass(frozen=True)
class BankSource(Source):
    """Some classes of a bank, perhaps turned, to draw episodes from.

    Items are laid out class by class (first all shots of label 0). That is not part of
    the contract: algorithms go by the targets.
    """

    bank: Bank
    members: tuple[ImageClass, ...]

    random_turns: bool = False
    """Turn each class of each episode by a random number of quarters."""

    @abstractmethod
    def inputs(self, places: Integers, turns: Integers) -> Tensor:
        """(T, ways, k, *shape): the items of the bank at these places (T, ways, k), of
        classes that are turned by so many quarters (T, ways)."""

    @property
    def _facts(self) -> SourceFacts:
        """But for shape and encoder. Names of turned classes tell their angles."""
        names = [
            self.bank.classes[m.index] + (f"/rot{90 * m.turns:03d}" if m.turns else "")
            for m in self.members
        ]
        members = [(member.index, member.turns) for member in self.members]
        text = json.dumps([self.bank.fingerprint, members, self.random_turns])
        each = int(np.prod(self.bank.items.shape[1:]))
        kept = {m.index: int(self.bank.sizes[m.index]) for m in self.members}
        return SourceFacts(
            kind="classification",
            shape=self.bank.shape,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
            classes=names,
            sizes=self._sizes.tolist(),
            nbytes=each * sum(kept.values()),
        )

    def moments(self) -> Moments:
        """Of all pixels of its classes, channel by channel, in [0, 1]; counted, so that
        no order of a sum rounds them otherwise."""
        counts = np.zeros((self.bank.shape[0], BYTE + 1), np.int64)
        for index in sorted({member.index for member in self.members}):
            first, last = self.bank.starts[index : index + 2]
            pixels = self.bank.items[first:last].reshape(-1, len(counts))
            for channel, count in enumerate(counts):
                count += np.bincount(pixels[:, channel], minlength=BYTE + 1)
        values = np.arange(BYTE + 1) / BYTE
        shares = counts / counts.sum(1, keepdims=True)
        mean = shares @ values
        deviation = np.sqrt(shares @ values**2 - mean**2)
        return Moments(mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the items as the bank has them."""
        for index in sorted({member.index for member in self.members}):
            first, last = self.bank.starts[index : index + 2]
            for item in self.bank.items[first:last]:
                yield digest(item), self.bank.classes[index]

    def joined(self, other: Source) -> Source:
        """The classes of both, of one bank."""
        if not isinstance(other, BankSource) or type(other) is not type(self):
            return super().joined(other)
        if other.bank.fingerprint != self.bank.fingerprint:
            return super().joined(other)
        return replace(self, members=self.members + other.members)

    def check(self, task: Task) -> None:
        """Enough classes, and enough items in every class."""
        require_items(self.facts.classes, self.facts.sizes, task)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Support (T, ways * shots, *shape), query alike."""
        chosen = choose_items(tasks, self._sizes)
        turns = self._turns(keys(tasks), chosen.classes)
        places = self.bank.starts[self._indices[chosen.classes]][..., None]
        return chosen.episodes(tasks, self.inputs(places + chosen.items, turns))

    @cached_property
    def _indices(self) -> Integers:
        """(members,): where in the bank each class is."""
        return np.array([member.index for member in self.members], np.int64)

    @cached_property
    def _sizes(self) -> Integers:
        """(members,): items of each class."""
        return self.bank.sizes[self._indices]

    @cached_property
    def _own_turns(self) -> Integers:
        """(members,): quarter turns of each class."""
        return np.array([member.turns for member in self.members], np.int64)

    def _turns(self, key: Words, classes: Integers) -> Integers:
        """(T, ways): quarter turns of each class of each episode."""
        turns = self._own_turns[classes]
        if self.random_turns:
            turns = turns + integers(key, "turns", classes.shape[1], below=4)
        return turns % 4


@dataclass(frozen=True)
class ImageSource(BankSource):
    """Some classes of a bank of images, to draw episodes from."""

    encoder: ImageEncoder | None = None
    """What made the bank's items from images, for new ones."""

    held: HeldImages | None = None
    """The items on a device, if they are kept there."""

    @cached_property
    def facts(self) -> SourceFacts:
        """Of images (C, H, W)."""
        return replace(self._facts, encoder=self.encoder)

    def on(self, device: str) -> Self:
        """With the items of its classes there."""
        classes = sorted({member.index for member in self.members})
        return replace(self, held=HeldImages.of(self.bank, classes, device))

    def joined(self, other: Source) -> Source:
        """The classes of both, of one bank, and no longer on a device."""
        joined = super().joined(other)
        assert isinstance(joined, ImageSource)
        return replace(joined, held=None)

    def inputs(self, places: Integers, turns: Integers) -> Tensor:
        """(T, ways, k, C, H, W) in [0, 1]."""
        if self.held is not None:
            return self.held.inputs(places, turns)
        images: Bytes = self.bank.items[places]
        for quarter in TURNS[1:]:
            turned = turns == quarter
            if turned.any():
                images[turned] = np.rot90(images[turned], quarter, (2, 3))
        return _as_floats(images)


def _as_floats(images: Bytes) -> Tensor:
    """(T, ways, k, H, W[, C]) bytes -> (T, ways, k, C, H, W) floats in [0, 1]."""
    inputs = unit_floats(images.reshape(-1, *images.shape[3:]))
    return inputs.reshape(*images.shape[:3], *inputs.shape[1:])
