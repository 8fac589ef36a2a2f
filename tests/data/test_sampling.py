"""Random choices as functions of integers: the same everywhere, and uniform."""

import numpy as np
import pytest
from scipy.stats import chisquare

from metapipe.data.sampling import (
    choose,
    fixed_order,
    integers,
    keys,
    tasks,
    uniform,
    words,
)


def key(count: int = 1, seed: int = 0, split: str = "train"):
    return keys(tasks("any", split, seed, 0, count, 5, 1, 15))


def test_golden_values() -> None:
    """These numbers are a promise: they name the episodes of published figures."""
    assert [f"{word:016x}" for word in words(key(), "classes", 2)[0]] == GOLDEN_WORDS
    assert choose(key(), "classes", 1100, 5)[0].tolist() == GOLDEN_CHOICE


GOLDEN_WORDS = ["5e543ebeeb28d1e9", "88ffe8353eb82c5e"]
GOLDEN_CHOICE = [390, 846, 537, 403, 587]


def test_an_episodes_numbers_do_not_depend_on_its_neighbours() -> None:
    together = choose(key(50), "x", 1000, 7)
    alone = choose(keys(tasks("any", "train", 0, 31, 1, 5, 1, 15)), "x", 1000, 7)
    assert together[31].tolist() == alone[0].tolist()


def test_seed_split_index_and_purpose_all_count() -> None:
    base = words(key(), "a", 4).tolist()
    assert words(key(seed=1), "a", 4).tolist() != base
    assert words(key(split="val"), "a", 4).tolist() != base
    assert words(key(2), "a", 4)[1].tolist() != base[0]
    assert words(key(), "b", 4).tolist() != base


def test_ordered_choices_are_equally_likely() -> None:
    drawn = choose(key(60_000), "x", 5, 3)
    assert drawn.min() == 0
    assert drawn.max() == 4
    assert all(len(set(row)) == 3 for row in drawn[:500].tolist())
    codes = drawn @ np.array([25, 5, 1])
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == 60, "5 * 4 * 3 ordered choices"
    assert chisquare(counts).pvalue > 1e-3


def test_choices_respect_every_size() -> None:
    sizes = np.array([[3, 10, 1000]]).repeat(4000, 0)
    drawn = choose(key(4000), "x", sizes, 3, 3)
    assert drawn.shape == (4000, 3, 3)
    for column, size in enumerate((3, 10, 1000)):
        assert drawn[:, column].max() <= size - 1
        assert drawn[:, column].max() > 0.99 * (size - 1) - 1
    assert np.sort(drawn[:, 0], -1).tolist() == [[0, 1, 2]] * 4000


def test_more_than_there_is_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="cannot choose 4 of 3"):
        choose(key(2), "x", np.array([[5], [3]]), 4, 1)


def test_integers_and_uniform_are_uniform() -> None:
    numbers = integers(key(30_000), "x", 2, below=7)
    _, counts = np.unique(numbers, return_counts=True)
    assert chisquare(counts).pvalue > 1e-3
    shares = uniform(key(30_000), "x", 1)
    assert 0 <= shares.min() < shares.max() < 1
    counts, _ = np.histogram(shares, 20, (0, 1))
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("lag", [1, 2])
def test_neighbouring_episodes_are_not_correlated(lag: int) -> None:
    shares = uniform(key(20_000), "x", 1)[:, 0]
    correlation = np.corrcoef(shares[:-lag], shares[lag:])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(shares))


def test_a_fixed_order_uses_all_before_any_comes_again() -> None:
    order = fixed_order(5, 12).tolist()
    assert len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert order[:5] != order[5:10]
    assert order == fixed_order(5, 12).tolist()
    assert sorted(fixed_order(7)) == list(range(7))
