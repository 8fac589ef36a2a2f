"""Classes with unequal numbers of support examples."""

from dataclasses import replace
from math import exp, floor, log

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from metapipe import Task, UnsupportedError
from metapipe.data import ArraySource, GroupSource, unequal
from metapipe.data.sampling import keys, tasks, uniform
from metapipe.data.unequal import shared_out


def source(sizes=(20, 20, 20, 20, 20)) -> ArraySource:
    """Items that are their own numbers."""
    items = np.arange(sum(sizes), dtype=np.float32)[:, None]
    names = [f"c{n}" for n in range(len(sizes))]
    return ArraySource(items, names, np.cumsum([0, *sizes]))


def counts(total, count, ways=3, shots=4, queries=2):
    """(T, ways): support examples of each class."""
    recipes = tasks("x", "train", 1, 0, count, ways, shots, queries, total)
    data = source() if shots < 20 else source((602,) * 3)
    labels = data.draw(recipes).support.targets
    assert labels.shape == (count, total)
    return torch.nn.functional.one_hot(labels, ways).sum(1)


def as_the_authors_say(sizes, total, left, key):
    """K_c = min(floor(R_c (|S| - |C|)) + 1, |Im(c)| - q) with R_c proportional to
    |Im(c)| exp(a_c), a_c uniform between log 1/2 and log 2, a class after the other."""
    logs = uniform(key, "support", len(sizes))[0] * 2 * log(2) - log(2)
    weights = [size * exp(a) for size, a in zip(sizes, logs, strict=True)]
    shares = [weight / sum(weights) for weight in weights]
    wanted = [share * (total - len(sizes)) for share in shares]
    return [min(floor(w) + 1, left) for w in wanted], wanted


@pytest.mark.parametrize("sizes", [[600] * 5, [600] * 40, [40, 25, 700, 60, 90], [50]])
def test_classes_have_what_the_formula_of_meta_dataset_gives_them(sizes):
    """Rounded down, and the examples that this leaves over one for a class at most."""
    most = min(sizes) - 10
    for index in range(50):
        key = keys([Task("x", "train", 3, index, len(sizes), 1, 10)])
        total = min(500, len(sizes) * (1 + index), len(sizes) * most)
        (found,) = shared_out(key, np.array([sizes]), total, most).tolist()
        known, wanted = as_the_authors_say(sizes, total, most, key)
        assert sum(found) == total
        assert all(1 <= own <= most for own in found)
        assert all(own >= least for own, least in zip(found, known, strict=True))
        if max(found) < most:
            for own, exactly in zip(found, wanted, strict=True):
                assert own - 1 < exactly + 1
        if len(set(sizes)) == 1:
            recipe = Task("x", "train", 3, index, len(sizes), 1 + index, 10)
            assert max(found) <= unequal(recipe, total).shots


def test_a_recipe_tells_the_most_of_one_class_and_all_together():
    mean = Task("x", "train", 0, 0, 5, 100, 10)
    assert unequal(mean, None) is mean
    assert unequal(mean, 500) == replace(mean, shots=249, support=500)
    assert unequal(mean, 200) == replace(mean, shots=99, support=200)
    assert unequal(replace(mean, shots=3), 500).support == 15


def test_a_class_has_four_times_what_another_has_at_most():
    found = counts(603, 2000, shots=600)
    ratio = (found.max(1).values - 1) / (found.min(1).values - 1)
    assert 3.5 < ratio.max() < 4.1
    assert found.min() > 1


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


def test_a_total_that_no_classes_have_is_refused():
    with pytest.raises(UnsupportedError, match="shots = 0 leaves none: use --shots 1"):
        source().check(unequal(Task("x", "train", 0, 0, 3, 0, 1), 12))
    with pytest.raises(UnsupportedError, match="2: 3 classes have one example each or"):
        source().check(Task("x", "train", 0, 0, 3, 4, 1, 2))
    with pytest.raises(
        UnsupportedError, match=r"13: .* 3 such classes no more than 12"
    ):
        source().check(Task("x", "train", 0, 0, 3, 4, 1, 13))
    few = source((6, 20, 20, 20, 20))
    few.check(Task("x", "train", 0, 0, 3, 9, 2, 12))
    with pytest.raises(
        UnsupportedError, match=r"13: class 'c0' .* has 6 items, and 3 s"
    ):
        few.check(Task("x", "train", 0, 0, 3, 9, 2, 13))
    with pytest.raises(UnsupportedError, match="cannot give 9 shots and 6 queries"):
        few.check(Task("x", "train", 0, 0, 3, 9, 6, 12))


def test_the_smallest_class_bounds_the_others():
    drawn = source((6, 20, 20, 20, 20)).draw(
        tasks("x", "train", 1, 0, 500, 3, 9, 2, 12)
    )
    assert drawn.items.shape == (500, 3, 4 + 2)
    labels = torch.nn.functional.one_hot(drawn.support.targets, 3).sum(1)
    assert labels.unique().tolist() == [4], "12 are all that there are"


def test_regression_has_no_classes_to_share():
    numbers = np.zeros((20, 1), np.float32)
    groups = GroupSource(numbers, ["g"], np.array([0, 20]), targets=numbers)
    with pytest.raises(UnsupportedError, match="regression has no classes to share"):
        groups.check(Task("x", "train", 0, 0, 1, 4, 1, support=3))
