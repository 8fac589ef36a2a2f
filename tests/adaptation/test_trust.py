"""What held-out examples tell: each law against something independent."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import normalize

from metapipe.adaptation.calibration import DOUBT, temperature
from metapipe.adaptation.estimate import estimate
from metapipe.adaptation.held_out import HeldOut, folds, held_out
from metapipe.adaptation.prediction_sets import prediction_sets, threshold
from metapipe.adaptation.trust import trust
from metapipe.adaptation.typicality import typicality
from metapipe.episode import Samples


def nearest(samples):
    """A learner for tests: minus distances to class means; none for absent classes."""
    ways = int(samples.targets.max()) + 1
    means = torch.stack(
        [samples.inputs[samples.targets == k].mean(0) for k in range(ways)]
    )
    return lambda inputs: -torch.cdist(inputs, means)


def drawn(counts, dimensions=6, apart=1.0, seed=0):
    """Overlapping classes with `counts` examples."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    places = apart * rng.normal(size=(len(counts), dimensions))
    inputs = places[labels] + rng.normal(size=(len(labels), dimensions))
    return Samples(torch.from_numpy(inputs), torch.from_numpy(labels))


@pytest.mark.parametrize(
    ("counts", "expected"), [([5, 5, 5], 5), ([20, 3, 7], 10), ([2, 1, 4], 4)]
)
def test_each_fold_leaves_out_some_of_each_class_and_each_example_is_new_once(
    counts, expected
):
    labels = drawn(counts).targets
    found = list(folds(labels))
    assert len(found) == expected
    several = {k for k, count in enumerate(counts) if count > 1}
    for fold in found:
        left = labels[fold.left_out].tolist()
        assert set(left) == several
        assert set(labels[fold.learned].tolist()) == set(range(len(counts)))
        together = sorted((*fold.learned.tolist(), *fold.left_out.tolist()))
        assert together == list(range(len(labels)))
        for k, count in enumerate(counts):  # no class loses more than another
            assert left.count(k) <= math.ceil(count / expected)
    new = sorted(n for fold in found for n in fold.new.tolist())
    assert new == [n for n, k in enumerate(labels.tolist()) if k in several]


def test_neighbours_are_left_out_together():
    """Of pictures taken one after the other none is judged by its like."""
    first = next(iter(folds(torch.zeros(30, dtype=torch.long))))
    assert first.left_out.tolist() == [0, 1, 2]


def test_held_out_is_brute_force_over_folds():
    """Five of each of three: the n-th of each is told by the four others of each."""
    samples = drawn([5, 5, 5])
    found = held_out(samples, nearest)
    assert found.folds == 5
    for place, output in zip(found.places.tolist(), found.outputs, strict=True):
        others = [n for n in range(15) if n % 5 != place % 5]
        part = Samples(samples.inputs[others], samples.targets[others])
        expected = nearest(part)(samples.inputs[[place]])[0]
        torch.testing.assert_close(output, expected)
    assert held_out(drawn([1, 1, 1]), nearest) is None


def test_the_estimate_has_wilsons_interval_of_half_as_many():
    labels = torch.arange(4).repeat_interleave(5)
    outputs = torch.eye(4)[labels].double()
    outputs[[0, 1, 7, 13]] = torch.eye(4)[3].double()
    found = estimate(HeldOut(torch.arange(20), labels, outputs, 5))
    assert found.accuracy == 16 / 20
    interval = binomtest(8, 10).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx(tuple(interval), abs=1e-4)
    assert found.confusion == [[3, 0, 0, 2], [0, 4, 0, 1], [0, 0, 4, 1], [0, 0, 0, 5]]


def test_the_temperature_is_the_likeliest():
    """As scipy finds it; and the same confidences for logits of any scale."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    logits = 3 * np.eye(5)[labels] + 2 * rng.normal(size=(200, 5))
    doubt = DOUBT / 200
    wanted = np.full((200, 5), doubt / 4)
    wanted[np.arange(200), labels] = 1 - doubt

    def loss(log_temperature):
        scaled = torch.from_numpy(logits / np.exp(log_temperature))
        return float(-(torch.from_numpy(wanted) * scaled.log_softmax(-1)).sum())

    best = minimize_scalar(loss, bounds=(-5, 5), options={"xatol": 1e-10})
    found = temperature(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    again = temperature(torch.from_numpy(1000 * logits), torch.from_numpy(labels))
    assert again == pytest.approx(1000 * found, rel=1e-9)


def test_overconfident_logits_are_calibrated():
    """Truth drawn from known probabilities, of which 5 times the logits are told."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40_000, 4)) * 1.5
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)  # by their softmax
    told = torch.from_numpy(5 * logits)
    found = temperature(told[:20_000], torch.from_numpy(labels[:20_000]))
    assert found == pytest.approx(5, rel=0.03)
    confidences = (told[20_000:] / found).softmax(-1).numpy()
    right = confidences.argmax(1) == labels[20_000:]
    assert confidences.max(1).mean() == pytest.approx(right.mean(), abs=0.01)
    before = log_loss(labels[20_000:], told[20_000:].softmax(-1).numpy())
    assert log_loss(labels[20_000:], confidences) < before


def test_all_right_is_not_certain_and_chance_is_flat():
    labels = torch.arange(5).repeat(5)
    right = torch.eye(5)[labels] * 10
    sure = (right / temperature(right, labels)).softmax(-1).max(-1).values
    assert 1 - 2 * DOUBT / 25 < float(sure.mean()) < 1 - DOUBT / 25 / 2
    wrong = torch.eye(5)[(labels + 1) % 5] * 10
    flat = (wrong / temperature(wrong, labels)).softmax(-1)
    torch.testing.assert_close(flat, torch.full((25, 5), 0.2), atol=0.01, rtol=0)
    assert temperature(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])) == 1


def test_a_set_is_cut_at_the_order_statistic():
    """Of n = 9 the least is the cut, of 19 the second least: ranks (n + 1) / 10."""
    for count, rank in ((9, 1), (18, 1), (19, 2), (39, 4)):
        right = torch.rand(count, generator=torch.manual_seed(0)).double()
        assert threshold(right) == right.sort().values[rank - 1]
    assert threshold(torch.rand(8)) is None
    assert threshold(torch.rand(19), 0.95) is not None
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold(torch.rand(20), 1.0)
    told = torch.tensor([[0.5, 0.4, 0.1], [0.34, 0.33, 0.33]])
    assert prediction_sets(told, 0.4).tolist() == [[1, 1, 0], [1, 0, 0]]


def test_sets_hold_the_right_class_as_often_as_asked():
    """Exchangeable examples, 24 to learn the cut from: 22 of 25 by the law of order
    statistics is the least, 23 of 25 the exact share."""
    rng = np.random.default_rng(2)
    held = []
    for _ in range(400):
        logits = torch.from_numpy(rng.normal(size=(74, 4)))
        told = logits.softmax(-1)
        labels = torch.multinomial(
            told, 1, generator=torch.manual_seed(int(rng.integers(1 << 30)))
        )
        right = told.gather(1, labels)[:, 0]
        sets = prediction_sets(told[24:], threshold(right[:24]))
        held.append(float(sets.gather(1, labels[24:]).double().mean()))
    # rank 2 of 24: a new one is at least as likely in 1 - 2 / 25 of cases
    assert np.mean(held) == pytest.approx(0.92, abs=0.012)


def reference_scores(learned, labels, asked):
    """The largest, over classes, of the cosine to a class mean, from the task's middle,
    less the squared distance, counted from 1; by NumPy."""
    unit = normalize(np.sign(learned) * np.sqrt(np.abs(learned)))
    asked = normalize(np.sign(asked) * np.sqrt(np.abs(asked)))
    classes = np.unique(labels)
    means = np.stack([unit[labels == k].mean(0) for k in classes])
    distances = np.square(asked[:, None] - means).sum(-1)
    unit, asked = (normalize(each - means.mean(0)) for each in (unit, asked))
    directions = np.stack([unit[labels == k].mean(0) for k in classes])
    return (asked @ normalize(directions).T + 1 - distances).max(1)


def reference_own(inputs, labels, shots):
    """Of each example by the others, one of each class left out."""
    number = np.arange(len(labels)) % shots
    return np.concatenate(
        [
            reference_scores(
                inputs[number != n], labels[number != n], inputs[number == n]
            )
            for n in range(shots)
        ]
    )


def test_typicality_is_brute_force():
    """Scores, shares, and strangers by leaving each class out in turn."""
    samples = drawn([5] * 4, 30, 0.7)
    inputs, labels = samples.inputs.numpy(), samples.targets.numpy()
    found = typicality(samples.inputs, samples.targets)
    own = np.sort(reference_own(inputs, labels, 5))
    np.testing.assert_allclose(found.own, own, atol=1e-12)
    asked = np.random.default_rng(3).normal(size=(50, 30))
    scores = reference_scores(inputs, labels, asked)
    expected = [((own <= score).sum() + 1) / 21 for score in scores]
    np.testing.assert_allclose(found.of(torch.from_numpy(asked)), expected)
    told, areas = [], []
    for out in range(4):
        known = labels != out
        own = reference_own(inputs[known], labels[known], 5)
        theirs = reference_scores(inputs[known], labels[known], inputs[~known])
        told += [((own <= score).sum() + 1) / 16 <= 0.1 for score in theirs]
        areas.append(roc_auc_score([1] * 15 + [0] * 5, [*own, *theirs]))
    assert found.strangers.told == pytest.approx(np.mean(told) ** (4 / 3))
    assert found.strangers.auroc == pytest.approx(np.mean(areas))


def test_strangers_far_away_are_told():
    samples = drawn([6] * 5, 30, 4.0)
    found = typicality(samples.inputs, samples.targets)
    assert found.strangers.auroc > 0.95
    assert found.strangers.told > 0.9
    others = drawn([6] * 5, 30, 4.0, seed=9)
    assert float(found.of(others.inputs).median()) < 0.1
    assert float(found.of(samples.inputs).median()) > 0.4


@pytest.mark.parametrize("counts", [[9, 9], [4, 5, 5], [1, 1, 1, 1]])
def test_of_too_few_nothing_is_told(counts):
    samples = drawn(counts)
    assert typicality(samples.inputs, samples.targets) is None


def test_a_wrong_label_is_called_in_question():
    """One of 40 well separated examples has another's label: it is the only one."""
    samples = drawn([10] * 4, apart=4.0)
    labels = samples.targets.clone()
    labels[3] = 2
    found = trust(Samples(samples.inputs, labels), nearest, lambda inputs: inputs)
    assert [(s.place, s.taken_for) for s in found.suspects] == [(3, 0)]
    assert found.estimate.accuracy == 39 / 40
    sound = trust(samples, nearest, lambda inputs: inputs)
    assert not sound.suspects
    assert trust(drawn([1, 1]), nearest, lambda inputs: inputs) is None
