"""Episodes from a bank of labelled images: a ready `Source` for data set plugins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..dataset import Source
from ..episode import Episodes, Samples, Task
from ..problem import Kind
from .bank import Bank, Bytes
from .class_episodes import choose_items, digest, labels_of, require_items
from .image_encoder import ImageEncoder, unit_floats
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
class ImageSource(Source):
    """Some classes of a bank, to draw episodes from.

    Items are laid out class by class (first all shots of label 0). That is not part of
    the contract: algorithms go by the targets.
    """

    bank: Bank
    members: tuple[ImageClass, ...]

    random_turns: bool = False
    """Turn each class of each episode by a random number of quarters."""

    encoder: ImageEncoder | None = None
    """What made the bank's items from images, for new ones."""

    @property
    def kind(self) -> Kind:
        """Classification."""
        return "classification"

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return self.bank.shape

    @property
    def outputs(self) -> None:
        """As many as an episode has ways."""
        return

    @property
    def classes(self) -> Sequence[str]:
        """Names; a turned class tells its angle."""
        return [
            self.bank.classes[m.index] + (f"/rot{90 * m.turns:03d}" if m.turns else "")
            for m in self.members
        ]

    @property
    def fingerprint(self) -> str:
        """Of the bank's content and of what is drawn from it."""
        members = [(member.index, member.turns) for member in self.members]
        text = json.dumps([self.bank.fingerprint, members, self.random_turns])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def sizes(self) -> Sequence[int]:
        """Items of each class."""
        return [int(size) for size in self._sizes]

    @property
    def nbytes(self) -> int:
        """Bytes of the classes' items in the bank."""
        each = int(np.prod(self.bank.items.shape[1:]))
        counts = {m.index: int(self.bank.sizes[m.index]) for m in self.members}
        return each * sum(counts.values())

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """Of the pictures as the bank has them."""
        for index in sorted({member.index for member in self.members}):
            first, last = self.bank.starts[index : index + 2]
            for item in self.bank.items[first:last]:
                yield digest(item), self.bank.classes[index]

    def check(self, ways: int, shots: int, queries: int) -> None:
        """Enough classes, and enough items in every class."""
        require_items(self.classes, self._sizes, ways, shots, queries)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """Images in [0, 1]: support (T, ways * shots, C, H, W), query alike."""
        shots = tasks[0].shots
        classes, items = choose_items(tasks, self._sizes)
        images = self._images(classes, items, self._turns(keys(tasks), classes))
        return Episodes(
            tuple(tasks),
            Samples(_flat(images[:, :, :shots]), labels_of(tasks, shots)),
            Samples(_flat(images[:, :, shots:]), labels_of(tasks, tasks[0].queries)),
            torch.from_numpy(classes),
            torch.from_numpy(items),
        )

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

    def _images(self, classes: Integers, items: Integers, turns: Integers) -> Bytes:
        """(T, ways, items, H, W[, C]), turned as asked."""
        starts = self.bank.starts[self._indices[classes]]
        images: Bytes = self.bank.items[starts[..., None] + items]
        for quarter in TURNS[1:]:
            turned = turns == quarter
            if turned.any():
                images[turned] = np.rot90(images[turned], quarter, (2, 3))
        return images


def _flat(images: Bytes) -> Tensor:
    """(T, N, k, H, W[, C]) bytes -> (T, N * k, C, H, W) floats in [0, 1]."""
    tasks, ways, count = images.shape[:3]
    inputs = unit_floats(images.reshape(-1, *images.shape[3:]))
    return inputs.reshape(tasks, ways * count, *inputs.shape[1:])
