"""Classes with unequal numbers of support examples, as Meta-Dataset draws them.

Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from
Few Examples", ICLR 2020, section 3.1 and its appendix on sampling.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..episode import Task
from .sampling import Integers, Words, uniform

SPREAD = math.log(2)
"""The logarithm of a class's weight is between minus this and this."""


def unequal(mean: Task, most: int | None) -> Task:
    """The recipe of an episode whose classes have `mean.shots` support examples each on
    the mean, or fewer, so that there are no more than `most` in all; the same if there
    is no `most`."""
    if most is None:
        return mean
    total = min(most, mean.ways * mean.shots)
    return replace(mean, shots=_most_of_one(mean.ways, total), support=total)


def shared_out(key: Words, sizes: Integers, total: int, most: int) -> Integers:
    """(T, ways): how many of `total` support examples each class has, for classes with
    `sizes` (T, ways) items: at least 1 and at most `most`.

    After one for each, the share of a class in the others is its size times a weight,
    whose logarithm is uniform between -log 2 and log 2. The authors round all shares
    down; here what that leaves goes to the classes that lack most of theirs, so that
    there are `total`, which is between ways and ways * most.
    """
    ways = sizes.shape[1]
    weights = sizes * np.exp(SPREAD * (2 * uniform(key, "support", ways) - 1))
    wanted = (total - ways) * weights / weights.sum(1, keepdims=True)
    counts: Integers = np.minimum(1 + np.floor(wanted).astype(np.int64), most)
    rows = np.arange(len(counts))
    for _ in range(int((total - counts.sum(1)).max(initial=0))):
        lack = np.where(counts < most, wanted - (counts - 1), -np.inf)
        counts[rows, lack.argmax(1)] += counts.sum(1) < total
    return counts


def _most_of_one(ways: int, total: int) -> int:
    """What a class of mean size can have of `total`, rounded up: its weight is 2 and
    that of all others one half."""
    share = 4 / (3 + ways)
    return 1 + math.ceil(share * max(0, total - ways))
