"""What sources of labelled items share: which items an episode has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..episode import Episodes, Samples, Task
from ..errors import UnsupportedError
from .bank import Bytes
from .sampling import Integers, choose, keys
from .unequal import shared_out


def digest(item: Bytes | NDArray[Any]) -> bytes:
    """A hash of an item's content."""
    return hashlib.blake2b(np.ascontiguousarray(item).data, digest_size=16).digest()


class Chosen(NamedTuple):
    """Which items some episodes have."""

    classes: Integers
    """(T, ways), in the order of their labels."""

    items: Integers
    """(T, ways, shots + queries): which of each class, the shots first; fewer shots
    where classes have unequal numbers and the smallest class holds fewer."""

    shown: NDArray[np.bool_]
    """(T, ways, shots): whether a shot is in the support set; the first of its class
    are, and all of them unless classes have unequal numbers."""

    def episodes(self, tasks: Sequence[Task], items: Tensor) -> Episodes:
        """The episodes of `items` (T, ways, shots + queries, *shape)."""
        shots, queries = self.shown.shape[-1], tasks[0].queries
        shown = torch.from_numpy(self.shown)
        labels = torch.arange(tasks[0].ways)[:, None].expand(-1, shots)
        support = Samples(
            _flat(items[:, :, :shots], shown),
            _flat(labels.expand(len(tasks), -1, -1), shown),
        )
        query = Samples(items[:, :, shots:].flatten(1, 2), labels_of(tasks, queries))
        indices = torch.from_numpy(self.classes), torch.from_numpy(self.items)
        return Episodes(tuple(tasks), support, query, *indices)


def choose_items(tasks: Sequence[Task], sizes: Integers) -> Chosen:
    """Which classes of those with `sizes` items, and which of their items."""
    ways, key = tasks[0].ways, keys(tasks)
    shots = _shots(tasks[0], int(sizes.min()))
    classes = choose(key, "classes", len(sizes), ways)
    items = choose(key, "items", sizes[classes], shots + tasks[0].queries, ways)
    if (total := tasks[0].support) is None:
        counts = np.full(classes.shape, shots)
    else:
        counts = shared_out(key, sizes[classes], total, shots)
    shown: NDArray[np.bool_] = np.arange(shots) < counts[..., None]
    return Chosen(classes, items, shown)


def labels_of(tasks: Sequence[Task], each: int) -> Tensor:
    """(T, ways * each): the labels of items that lie class by class."""
    labels = torch.arange(tasks[0].ways).repeat_interleave(each)
    return labels.expand(len(tasks), -1).contiguous()


def require_items(names: Sequence[str], sizes: Sequence[int], task: Task) -> None:
    """Raise UnsupportedError if classes with these numbers of items are too few or too
    small for such an episode."""
    if task.ways > len(names):
        count = len(names)
        raise UnsupportedError(
            f"the {task.split} split has {count} classes and cannot give {task.ways} "
            f"ways: use --ways {count} or fewer, or more classes; with few of your "
            "own, train on another data set and then adapt to yours"
        )
    smallest = min(range(len(sizes)), key=lambda number: sizes[number])
    shots = _shots(task, sizes[smallest])
    if shots < min(task.shots, 1) or shots + task.queries > sizes[smallest]:
        raise UnsupportedError(
            f"class '{names[smallest]}' of the {task.split} split has "
            f"{sizes[smallest]} items and cannot give {task.shots} shots and "
            f"{task.queries} queries: use --shots and --queries of together "
            f"{sizes[smallest]} at most"
        )
    if task.support is None:
        return
    least, most = task.ways, task.ways * shots
    if not task.support:
        raise UnsupportedError(
            "support shares out examples, and shots = 0 leaves none: use --shots 1 or "
            "more, which is the mean of a class, or leave --support out"
        )
    if task.support < least:
        raise UnsupportedError(
            f"support = {task.support}: {least} classes have one example each or more; "
            f"use --support {least} or more"
        )
    if task.support > most:
        raise UnsupportedError(
            f"support = {task.support}: class '{names[smallest]}' of the {task.split} "
            f"split has {sizes[smallest]} items, and {task.ways} such classes no more "
            f"than {most} beside {task.queries} queries each: use fewer --shots, or "
            f"--support {most}"
        )


def require_one_way(task: Task) -> None:
    """Raise UnsupportedError for a regression that is asked for classes."""
    if task.ways != 1:
        raise UnsupportedError(
            f"regression has no classes: use --ways 1 instead of {task.ways}"
        )
    if task.support is not None:
        raise UnsupportedError(
            f"support = {task.support}: regression has no classes to share it; "
            "use --shots"
        )


def _shots(task: Task, smallest: int) -> int:
    """The most support examples of one class, where the smallest has so many items."""
    return (
        task.shots if task.support is None else min(task.shots, smallest - task.queries)
    )


def _flat(items: Tensor, shown: Tensor) -> Tensor:
    """(T, ways, shots, *shape) -> (T, n, *shape): those that are shown."""
    if shown.all():
        return items.flatten(1, 2).contiguous()
    return items[shown].reshape(len(items), -1, *items.shape[3:])
