"""Heads that need no training: scikit-learn's own figures, as a few tensors."""

import time

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge as ReferenceRidge
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from metapipe import Problem, Samples, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.testing import HeadContract, blobs
from metapipe.training.learner import check_problem
from metapipe_plugins.algorithms.discriminant import Discriminant
from metapipe_plugins.algorithms.nearest import Nearest
from metapipe_plugins.algorithms.ridge import Ridge
from metapipe_plugins.models.identity import Identity

HEADS = {"discriminant": Discriminant(), "nearest": Nearest(), "ridge": Ridge()}


class TestDiscriminant(HeadContract):
    algorithm = Discriminant()


class TestNearest(HeadContract):
    algorithm = Nearest()


class TestRidge(HeadContract):
    algorithm = Ridge()


def drawn(counts, dimensions, seed=0):
    """Overlapping classes, `counts` of each to learn from and 40 queries."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    places = rng.normal(size=(len(counts), dimensions))
    vectors = places[labels] + 1.5 * rng.normal(size=(len(labels), dimensions))
    query = (
        rng.normal(size=(40, dimensions)) * 1.5
        + places[rng.integers(0, len(counts), 40)]
    )
    return vectors, labels, query


def roots(vectors):
    """Signed roots of length one, by NumPy."""
    return normalize(np.sign(vectors) * np.sqrt(np.abs(vectors)))


def logits(head, vectors, labels, query):
    """What the head says of the queries."""
    ways = labels.max() + 1
    network = head.build(Identity(), Problem("classification", vectors.shape[1:], ways))
    meta = head.init(network)
    support = Samples(torch.from_numpy(vectors), torch.from_numpy(labels))
    adapted = head.adapt(network, meta, support, ways)
    return head.predict(network, meta, adapted, torch.from_numpy(query)).numpy()


@pytest.mark.parametrize("dimensions", [4, 60])
@pytest.mark.parametrize("counts", [[5, 5], [2, 2, 2], [7, 3, 5, 2]])
@pytest.mark.parametrize("shrinkage", [0.5, 0.05, 1.0])
def test_the_discriminant_is_the_librarys(counts, dimensions, shrinkage):
    """With examples fewer than dimensions and more; unequal counts, equal priors."""
    vectors, labels, query = drawn(counts, dimensions)
    found = logits(Discriminant(shrinkage=shrinkage), vectors, labels, query)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    reference.fit(roots(vectors), labels)
    # its covariance is pooled by its priors, those of the sample: ours are equal
    weight = reference.means_ @ np.linalg.inv(reference.covariance_)
    scores = roots(query) @ weight.T - (weight * reference.means_).sum(1) / 2
    if len(set(counts)) == 1:
        expected = torch.from_numpy(scores).softmax(-1)
        np.testing.assert_allclose(
            expected, reference.predict_proba(roots(query)), atol=1e-9
        )
    found, scores = (each - each.mean(1, keepdims=True) for each in (found, scores))
    centre = reference.means_.mean(0)
    own = ((weight - weight.mean(0)) * (reference.means_ - centre)).sum(1)
    scale = 10 / np.sqrt((own**2).mean())
    np.testing.assert_allclose(found, scale * scores, atol=1e-9)


@pytest.mark.parametrize(
    ("head", "counts"),
    [
        (Nearest(), [4, 2, 3]),
        (Nearest(), [1, 1, 1, 1]),
        (Discriminant(), [1, 1, 1, 1]),
        (Discriminant(), [4, 1, 3]),
    ],
)
def test_the_nearest_centred_mean(head, counts):
    """And what the discriminant does where any of the classes has one example only."""
    vectors, labels, query = drawn(counts, 30)
    unit = roots(vectors)
    centre = np.mean([unit[labels == k].mean(0) for k in range(len(counts))], 0)
    centred = normalize(unit - centre)
    means = np.stack([centred[labels == k].mean(0) for k in range(len(counts))])
    if min(counts) > 1:  # which the library wants
        np.testing.assert_allclose(
            NearestCentroid().fit(centred, labels).centroids_, means
        )
    expected = normalize(roots(query) - centre) @ normalize(means).T
    found = logits(head, vectors, labels, query)
    assert (found.argmax(1) == expected.argmax(1)).all()
    if isinstance(head, Nearest):
        np.testing.assert_allclose(found, 10 * expected, atol=1e-9)


@pytest.mark.parametrize("dimensions", [4, 60])
def test_the_ridge_is_the_librarys(dimensions):
    vectors, labels, query = drawn([5, 2, 4], dimensions)
    reference = ReferenceRidge(alpha=0.7).fit(roots(vectors), np.eye(3)[labels])
    found = logits(Ridge(penalty=0.7, scale=2), vectors, labels, query)
    np.testing.assert_allclose(found, 2 * reference.predict(roots(query)), atol=1e-9)


def test_copies_of_one_picture_are_no_covariance():
    """Nothing varies within the classes: numbers come out, and they are right."""
    vectors = np.repeat(np.eye(3), 4, 0)
    labels = np.repeat(np.arange(3), 4)
    found = logits(Discriminant(), vectors, labels, np.eye(3))
    assert np.isfinite(found).all()
    assert (found.argmax(1) == [0, 1, 2]).all()


def test_a_fit_takes_less_than_50_milliseconds():
    """Of 100 vectors of 1280 numbers; the least of five, as others use the machine."""
    vectors, labels, query = drawn([20] * 5, 1280)
    for head in HEADS.values():
        seconds = []
        for _ in range(5):
            start = time.process_time()
            logits(head, vectors, labels, query)
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.05


@pytest.mark.parametrize("name", HEADS)
def test_training_is_refused(name):
    problem = Problem("classification", (6,), 3, 3)
    with pytest.raises(UnsupportedError, match=f"{name} has nothing to train"):
        check_problem(HEADS[name], name, problem)
    with pytest.raises(UnsupportedError, match=f"{name} has nothing to train"):
        HEADS[name].meta_gradient(None, None, blobs(), None)
    cls = load().entry("algorithm", name).cls
    assert cls.paper
    assert cls.equations
