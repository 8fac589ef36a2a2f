"""What sources of labelled items share: which items an episode has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..episode import Task
from ..errors import UnsupportedError
from .bank import Bytes
from .sampling import Integers, choose, keys


def digest(item: Bytes | NDArray[Any]) -> bytes:
    """A hash of an item's content."""
    return hashlib.blake2b(np.ascontiguousarray(item).data, digest_size=16).digest()


def require_items(
    names: Sequence[str], sizes: Integers, ways: int, shots: int, queries: int
) -> None:
    """Raise UnsupportedError if classes with these numbers of items are too few or too
    small for such episodes."""
    if ways > len(names):
        raise UnsupportedError(
            f"this split has {len(names)} classes and cannot give {ways} ways: use "
            f"--ways {len(names)} or fewer"
        )
    smallest = int(sizes.argmin())
    if shots + queries > sizes[smallest]:
        raise UnsupportedError(
            f"class '{names[smallest]}' has {sizes[smallest]} items and cannot give "
            f"{shots} shots and {queries} queries: use fewer"
        )


def choose_items(tasks: Sequence[Task], sizes: Integers) -> tuple[Integers, Integers]:
    """Classes (T, ways) of the episodes, in the order of their labels, and which items
    of each (T, ways, shots + queries), the shots first."""
    ways, count = tasks[0].ways, tasks[0].shots + tasks[0].queries
    key = keys(tasks)
    classes = choose(key, "classes", len(sizes), ways)
    return classes, choose(key, "items", sizes[classes], count, ways)


def labels_of(tasks: Sequence[Task], each: int) -> Tensor:
    """(T, ways * each): the labels of items that lie class by class."""
    labels = torch.arange(tasks[0].ways).repeat_interleave(each)
    return labels.expand(len(tasks), -1).contiguous()


def require_one_way(ways: int) -> None:
    """Raise UnsupportedError for a regression that is asked for classes."""
    if ways != 1:
        raise UnsupportedError(
            f"regression has no classes: use --ways 1 instead of {ways}"
        )
