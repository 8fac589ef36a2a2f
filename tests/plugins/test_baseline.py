"""The baselines against scikit-learn (algorithms.md 18)."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from metapipe import Meta, Problem, Samples, UnsupportedError
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe.training.loop import initial_state, iterations
from metapipe_plugins.algorithms.baseline import (
    Baseline,
    BaselinePlusPlus,
)
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.parts.heads.classifier import Cosine, global_labels


class BaselineContract(AlgorithmContract):
    reports_adapted = False  # training is to tell all training classes apart

    def test_it_learns_a_toy_problem(self) -> None:
        """The classes it is trained on: of others its last layer knows nothing."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        state = initial_state(meta, self.learning)
        losses = [
            i.loss
            for i in iterations(
                learner, state, self.learning, lambda _: [episodes], seed=0
            )
        ]
        assert losses[-1] < losses[0] / 2


class TestBaseline(BaselineContract):
    algorithm = Baseline()


class TestBaselinePlusPlus(BaselineContract):
    algorithm = BaselinePlusPlus()
    model = MLP(layers=(8,), normalise=True)


def test_fitted_to_the_end_it_is_logistic_regression() -> None:
    """C = 1 / (n * decay), in scikit-learn's terms; ours decays the bias, theirs does
    not: there it is one more feature, which is 1."""
    support = Samples(*(t[0] for t in blobs(tasks=1, shots=6).support))
    baseline = Baseline(test_lr=1.0, test_steps=4000, test_decay=0.01)
    network = nn.Identity()
    fitted = baseline.adapt(network, Meta({}), support, 3)
    reference = LogisticRegression(
        C=1 / (18 * 0.01), fit_intercept=False, tol=1e-12, max_iter=10_000
    )
    ones = np.ones((18, 1))  # a bias that is decayed is a feature that is 1
    reference.fit(np.hstack([support.inputs.numpy(), ones]), support.targets)
    got = torch.cat([fitted["weight"], fitted["bias"][:, None]], 1).numpy()
    assert np.abs(got - reference.coef_).max() < 1e-5


@pytest.mark.parametrize("baseline", [Baseline(), BaselinePlusPlus()])
@pytest.mark.parametrize("length", [64, 1600])
def test_a_tasks_layer_tells_its_classes_apart(baseline, length) -> None:
    """Of queries, in features of any length: directions that turn too slowly do not."""
    episodes = blobs(ways=5, shots=5, shape=(length,))
    for task in range(len(episodes.tasks)):
        support = Samples(*(t[task] for t in episodes.support))
        adapted = baseline.adapt(nn.Identity(), Meta({}), support, 5)
        query = episodes.query.inputs[task]
        logits = baseline.predict(nn.Identity(), Meta({}), adapted, query)
        assert (logits.argmax(-1) == episodes.query.targets[task]).double().mean() > 0.9


def test_cosines_ignore_lengths_of_features() -> None:
    last = Cosine()
    params = last.start(4, torch.zeros(6, dtype=torch.float64))
    features = torch.randn(5, 6, dtype=torch.float64)
    logits = last.logits(params, features)
    torch.testing.assert_close(last.logits(params, 7 * features), logits)
    assert logits.abs().max() <= 2
    louder = {**params, "length": 3 * params["length"]}
    torch.testing.assert_close(last.logits(louder, features), 3 * logits)


def test_images_are_labelled_by_their_training_class() -> None:
    episodes = blobs(tasks=2, ways=3, shots=1, queries=1)
    episodes = episodes._replace(class_indices=torch.tensor([[7, 2, 5], [0, 7, 1]]))
    labels = global_labels(episodes).tolist()
    assert labels == [[7, 2, 5, 7, 2, 5], [0, 7, 1, 0, 7, 1]]


def test_the_layer_is_over_all_training_classes() -> None:
    problem = Problem("classification", (6,), 3, class_count=30)
    network = Baseline().build(TinyModel(), problem)
    assert network.classifier["weight"].shape == (30, 16)


def test_without_classes_it_is_refused_before_training() -> None:
    problem = Problem("classification", (6,), 3)
    with pytest.raises(UnsupportedError, match="how many classes"):
        Baseline().check(problem, problem)
