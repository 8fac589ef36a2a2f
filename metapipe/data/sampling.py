"""Random choices that are pure functions of integers.

An episode must be the same on any machine, in any process and in any order, so its
random numbers are not drawn from a stream but computed from a counter: a hash of (seed,
split, episode index, purpose, position). Everything is vectorised over episodes.

The hash is SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014), applied once per
word of the key.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..episode import Task

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]


def tasks(
    dataset: str,
    split: str,
    seed: int,
    start: int,
    count: int,
    ways: int,
    shots: int,
    queries: int,
    support: int | None = None,
) -> list[Task]:
    """The recipes of `count` consecutive episodes, from index `start` on."""
    return [
        Task(dataset, split, seed, index, ways, shots, queries, support)
        for index in range(start, start + count)
    ]


def keys(recipes: Sequence[Task]) -> Words:
    """A (T,) key for each episode: what all its random numbers come from.

    The name of the data set does not enter: the numbers say where in it to look.
    """
    seeds = np.array([task.seed for task in recipes], np.uint64)
    splits = np.array([zlib.crc32(task.split.encode()) for task in recipes], np.uint64)
    indices = np.array([task.index for task in recipes], np.uint64)
    return _hash(_hash(_hash(seeds) ^ splits) ^ indices)


def words(key: Words, purpose: str, *shape: int) -> Words:
    """Random 64-bit words of shape (*key.shape, *shape), one stream per `purpose`.

    A position's word depends on its position only, not on how large `shape` is along
    the first axis.
    """
    stream = _hash(key ^ np.uint64(zlib.crc32(purpose.encode()) << 32))
    count = int(np.prod(shape, dtype=np.int64))
    counters = np.arange(count, dtype=np.uint64).reshape(shape)
    return _hash(stream.reshape(stream.shape + (1,) * len(shape)) + counters)


def integers(key: Words, purpose: str, *shape: int, below: int | Integers) -> Integers:
    """Integers in [0, below), uniform to one part in 2^32 / below."""
    high = words(key, purpose, *shape) >> np.uint64(32)
    bound = np.asarray(below, np.uint64)
    return ((high * bound) >> np.uint64(32)).astype(np.int64)


def uniform(key: Words, purpose: str, *shape: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), multiples of 2^-53."""
    mantissa = words(key, purpose, *shape) >> np.uint64(11)
    return mantissa.astype(np.float64) * 2.0**-53


def normal(key: Words, purpose: str, *shape: int) -> NDArray[np.float64]:
    """Standard normal numbers, by Box & Muller (1958), each from the two halves of a
    word: none is beyond 6.7."""
    word = words(key, purpose, *shape)
    radius = np.sqrt(-2 * np.log(((word >> np.uint64(32)) + 1.0) * 2.0**-32))
    low = (word & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.asarray(radius * np.cos(2 * np.pi * 2.0**-32 * low))


def choose(
    key: Words, purpose: str, sizes: int | Integers, count: int, *shape: int
) -> Integers:
    """`count` different integers below `sizes`, in random order.

    `key` is (T,), `sizes` a number or (T, *shape); the result (T, *shape, count). All
    ordered choices are equally likely. Floyd's algorithm (Bentley & Floyd, CACM 1987)
    picks the set, one vectorised step per member; a shuffle then decides the order.
    Raises ValueError if a size is less than `count`.
    """
    size = np.broadcast_to(np.asarray(sizes, np.int64), (*key.shape, *shape))
    if size.size and size.min() < count:
        raise ValueError(f"cannot choose {count} of {size.min()}")
    picked = np.empty((*size.shape, count), np.int64)
    bounds = size[..., None] - count + 1 + np.arange(count)
    draws = integers(key, purpose, *shape, count, below=bounds)
    for n in range(count):
        draw = draws[..., n]
        taken = (picked[..., :n] == draw[..., None]).any(-1)
        picked[..., n] = np.where(taken, bounds[..., n] - 1, draw)
    order = words(key, purpose + " order", *shape, count).argsort(-1, kind="stable")
    return np.take_along_axis(picked, order, -1)


def _hash(x: Words) -> Words:
    """SplitMix64: add the golden ratio, then mix until every bit counts."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fixed_order(count: int, length: int | None = None) -> Integers:
    """(length,): all indices below `count` in an order that looks random and is always
    the same; in a new such order each time they are used up. `length` is `count` if not
    given.

    For algorithms whose `adapt` needs an order: torch's generators are not the same
    under `vmap`.
    """
    length = count if length is None else length
    passes = np.arange(-(-length // count), dtype=np.uint64)
    return choose(passes, "fixed order", count, count).reshape(-1)[:length]
