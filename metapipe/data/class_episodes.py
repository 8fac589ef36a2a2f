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
from .sampling import Integers, Words, choose, keys


def digest(item: Bytes | NDArray[Any]) -> bytes:
    """A hash of an item's content."""
    return hashlib.blake2b(np.ascontiguousarray(item).data, digest_size=16).digest()


class Chosen(NamedTuple):
    """Which items some episodes have."""

    classes: Integers
    """(T, ways), in the order of their labels."""

    items: Integers
    """(T, ways, shots + queries): which of each class, the shots first."""

    shown: NDArray[np.bool_]
    """(T, ways, shots): whether a shot is in the support set; the first of its class
    are, and all of them unless classes have unequal numbers."""

    def episodes(self, tasks: Sequence[Task], items: Tensor) -> Episodes:
        """The episodes of `items` (T, ways, shots + queries, *shape)."""
        shots, queries = tasks[0].shots, tasks[0].queries
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
    ways, count = tasks[0].ways, tasks[0].shots + tasks[0].queries
    key = keys(tasks)
    classes = choose(key, "classes", len(sizes), ways)
    items = choose(key, "items", sizes[classes], count, ways)
    return Chosen(classes, items, _shown(tasks, key))


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
    if task.shots + task.queries > sizes[smallest]:
        raise UnsupportedError(
            f"class '{names[smallest]}' of the {task.split} split has "
            f"{sizes[smallest]} items and cannot give {task.shots} shots and "
            f"{task.queries} queries: use --shots and --queries of together "
            f"{sizes[smallest]} at most"
        )
    require_support(task)


def require_support(task: Task) -> None:
    """Raise UnsupportedError for a support set that no such classes have."""
    if task.support is None:
        return
    least, most = task.ways, task.ways * task.shots
    if not least <= task.support <= most:
        raise UnsupportedError(
            f"support = {task.support}: {task.ways} classes of 1 to {task.shots} "
            f"examples have {least} to {most} in all"
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


def _shown(tasks: Sequence[Task], key: Words) -> NDArray[np.bool_]:
    """(T, ways, shots): the first of each class, and as many next ones as fall to it
    of what the support set has left: all ways to choose those are as likely."""
    ways, shots, total = tasks[0].ways, tasks[0].shots, tasks[0].support
    counts = np.full((len(tasks), ways), shots)
    if total is not None:
        more = choose(key, "support", ways * (shots - 1), total - ways)
        owners = more // max(shots - 1, 1)
        counts = 1 + (owners[..., None] == np.arange(ways)).sum(1)
    shown: NDArray[np.bool_] = np.arange(shots) < counts[..., None]
    return shown


def _flat(items: Tensor, shown: Tensor) -> Tensor:
    """(T, ways, shots, *shape) -> (T, n, *shape): those that are shown."""
    if shown.all():
        return items.flatten(1, 2).contiguous()
    return items[shown].reshape(len(items), -1, *items.shape[3:])
