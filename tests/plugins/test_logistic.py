"""Logistic regression on vectors: scikit-learn's own figures, as two tensors."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from metapipe import Problem, Samples, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.testing import HeadContract, blobs
from metapipe.training.learner import check_problem
from metapipe_plugins.algorithms.logistic import Logistic
from metapipe_plugins.models.identity import Identity


class TestLogistic(HeadContract):
    algorithm = Logistic()


@pytest.mark.parametrize("ways", [2, 3, 5])
def test_probabilities_are_the_librarys(ways):
    episodes = blobs(tasks=1, ways=ways, shots=4, queries=9, shape=(6,))
    noise = torch.randn(4 * ways, 6, generator=torch.manual_seed(0)).double()
    inputs, labels = episodes.support.inputs[0] + noise, episodes.support.targets[0]
    query = episodes.query.inputs[0]
    head = Logistic(C=3)
    network = head.build(Identity(), Problem("classification", (6,), ways))
    meta = head.init(network)
    adapted = head.adapt(network, meta, Samples(inputs, labels), ways)
    found = head.predict(network, meta, adapted, query).softmax(-1)
    reference = LogisticRegression(C=3, max_iter=1000)
    reference.fit(normalize(inputs.numpy()), labels.numpy())
    expected = reference.predict_proba(normalize(query.numpy()))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_training_it_is_refused():
    head = Logistic()
    problem = Problem("classification", (6,), 3, 3)
    with pytest.raises(UnsupportedError, match="logistic has nothing to train"):
        check_problem(head, "logistic", problem)
    with pytest.raises(UnsupportedError, match="nothing to train"):
        head.meta_gradient(None, None, blobs(), None)


def test_it_says_what_it_implements():
    cls = load().entry("algorithm", "logistic").cls
    assert cls.paper
    assert cls.equations
