"""Classes with unequal numbers of support examples."""

from collections import Counter
from itertools import product
from math import comb, prod

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from metapipe import Task, UnsupportedError
from metapipe.data import ArraySource, GroupSource
from metapipe.data.sampling import tasks


def source(sizes=(20, 30, 25, 20, 22)) -> ArraySource:
    """Items that are their own numbers."""
    items = np.arange(sum(sizes), dtype=np.float32)[:, None]
    names = [f"c{n}" for n in range(len(sizes))]
    return ArraySource(items, names, np.cumsum([0, *sizes]))


def counts(total, count, ways=3, shots=4, queries=2):
    """(T, ways): support examples of each class."""
    recipes = tasks("x", "train", 1, 0, count, ways, shots, queries, total)
    labels = source().draw(recipes).support.targets
    assert labels.shape == (count, total)
    return torch.nn.functional.one_hot(labels, ways).sum(1)


@pytest.mark.parametrize("total", range(3, 13))
def test_every_split_is_as_likely_as_chance_has_it(total):
    """One of each class, and the others a simple random sample of what is left: a
    multivariate hypergeometric distribution."""
    count = 6000
    found = Counter(map(tuple, counts(total, count).tolist()))
    all_ways = comb(3 * 3, total - 3)
    wanted = {
        split: prod(comb(3, each - 1) for each in split) / all_ways
        for split in product(range(1, 5), repeat=3)
        if sum(split) == total
    }
    assert set(found) == set(wanted)
    if len(wanted) > 1:
        expected = [count * share for share in wanted.values()]
        assert chisquare([found[s] for s in wanted], expected).pvalue > 1e-3


def test_each_label_is_alike():
    mean = counts(7, 6000).double().mean(0)
    assert mean.tolist() == pytest.approx([7 / 3] * 3, abs=0.05)


def test_the_first_of_a_class_are_shown_and_queries_stay():
    """So that the integers and the labels tell which items were seen."""
    recipe = Task("x", "train", 5, 3, 4, 6, 2, support=13)
    drawn = source().draw([recipe])
    whole = source().draw([Task("x", "train", 5, 3, 4, 6, 2)])
    assert torch.equal(drawn.query.inputs, whole.query.inputs)
    assert torch.equal(drawn.items, whole.items)
    for label in range(4):
        mine = drawn.support.inputs[0][drawn.support.targets[0] == label]
        all_of_it = whole.support.inputs[0][whole.support.targets[0] == label]
        assert torch.equal(mine, all_of_it[: len(mine)])


def test_items_of_support_and_query_differ():
    recipes = tasks("x", "train", 2, 0, 200, 5, 6, 9, 20)
    drawn = source().draw(recipes)
    for task in range(200):
        both = torch.cat([drawn.support.inputs[task], drawn.query.inputs[task]])
        assert len(set(both.flatten().tolist())) == 20 + 45


def test_each_item_is_as_likely():
    recipes = tasks("x", "train", 4, 0, 4000, 5, 4, 1, 11)
    drawn = source((8, 8, 8, 8, 8)).draw(recipes)
    found = np.bincount(drawn.support.inputs.flatten().int().numpy(), minlength=40)
    assert chisquare(found).pvalue > 1e-3


def test_an_episode_is_the_same_alone_among_others_and_again():
    recipes = tasks("x", "train", 9, 0, 10, 3, 4, 2, 8)
    many = source().draw(recipes)
    for index in (7, 2):
        alone = source().draw([recipes[index]])
        for part, others in ((alone.support, many.support), (alone.query, many.query)):
            assert torch.equal(part.inputs[0], others.inputs[index])
            assert torch.equal(part.targets[0], others.targets[index])


@pytest.mark.parametrize("total", [2, 13])
def test_a_total_that_no_classes_have_is_refused(total):
    task = Task("x", "train", 0, 0, 3, 4, 1, total)
    with pytest.raises(UnsupportedError, match="have 3 to 12 in all"):
        source().check(task)


def test_regression_has_no_classes_to_share():
    numbers = np.zeros((20, 1), np.float32)
    groups = GroupSource(numbers, ["g"], np.array([0, 20]), targets=numbers)
    with pytest.raises(UnsupportedError, match="regression has no classes to share"):
        groups.check(Task("x", "train", 0, 0, 1, 4, 1, support=3))
