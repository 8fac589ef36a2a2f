"""Sources of small random images and vectors, and whether their episodes are equal."""

import numpy as np
import torch

from metapipe import Episodes
from metapipe.data import Bank, ImageClass, ImageSource, with_rotations
from metapipe.data.array_source import ArraySource
from metapipe.data.image_encoder import Moments
from metapipe.data.normalised_source import NormalisedSource
from metapipe.data.sampling import tasks

SEED = np.random.default_rng(0)
STARTS = np.array([0, 7, 15, 22, 31, 40])


def bank(*channels: int) -> Bank:
    """Of five classes with 7 to 9 images."""
    items = SEED.integers(0, 256, (40, 6, 6, *channels), np.uint8)
    return Bank(items, tuple("abcde"), STARTS, "f")


def images(*channels: int, **more: bool) -> ImageSource:
    """Of four of the classes, and each of them turned."""
    members = with_rotations([ImageClass(index) for index in (4, 0, 2, 1)])
    return ImageSource(bank(*channels), tuple(members), **more)


def moments(*numbers: float) -> Moments:
    return Moments(mean=numbers, deviation=numbers)


ITEMS = SEED.normal(size=(40, 3)).astype(np.float32)
SOURCES = {
    "grey": images(),
    "colours": images(3),
    "random turns": images(3, random_turns=True),
    "normalised": NormalisedSource(images(3), moments(0.3, 0.5, 0.7)),
    "vectors": ArraySource(ITEMS, tuple("abcde"), STARTS),
}


def recipes(start: int = 0, support: int | None = None):
    return tasks("x", "train", 3, start, 4, 4, 2, 3, support)


def assert_same(one: Episodes, other: Episodes) -> None:
    """To the bit, and as they lie in memory."""
    assert one.tasks == other.tasks
    for mine, theirs in zip((*one[1], *one[2]), (*other[1], *other[2]), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.dtype == theirs.dtype
        assert mine.stride() == theirs.stride()
    assert torch.equal(one.class_indices, other.class_indices)
    assert torch.equal(one.items, other.items)
