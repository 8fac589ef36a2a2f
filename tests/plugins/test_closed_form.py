"""Ridge regression, R2-D2 and MetaOptNet against scikit-learn (algorithms.md 7, 16)."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.nn.functional import one_hot
from toy_training import draw

from metapipe import Meta, Problem, Samples
from metapipe.testing import AlgorithmContract, TinyModel
from metapipe.training.learner import build_learner
from metapipe.training.loop import initial_state, iterations
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.metaoptnet import MetaOptNet
from metapipe_plugins.algorithms.r2d2 import R2D2
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.parts.heads.ridge import ridge_regression

DOUBLE = torch.float64


class TestR2D2(AlgorithmContract):
    algorithm = R2D2()


class TestR2D2WithConstantPenalty(AlgorithmContract):
    algorithm = R2D2(learn_penalty=False)
    model = MLP(layers=(8,), normalise=True)


class TestMetaOptNetSVM(AlgorithmContract):
    algorithm = MetaOptNet(iterations=25)


class TestMetaOptNetWithSmoothLabels(AlgorithmContract):
    algorithm = MetaOptNet(smoothing=0.1)
    exact_gradient = False  # of the plain loss, which is what it reports


class TestMetaOptNetRidge(AlgorithmContract):
    algorithm = MetaOptNet(head="ridge", penalty=1.0)
    model = MLP(layers=(8,), normalise=True)


def support(shots: int = 3, ways: int = 4) -> Samples:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(ways).repeat(shots)
    inputs = torch.randn(shots * ways, 6, generator=generator, dtype=DOUBLE)
    return Samples(inputs + labels[:, None], labels)


def identity() -> tuple[torch.nn.Module, Meta]:
    """A network whose features are its inputs."""
    return torch.nn.Flatten(), Meta({}, {})


@pytest.mark.parametrize("size", [3, 40])
def test_ridge_is_scikit_learns_in_both_of_its_forms(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, size, generator=generator, dtype=DOUBLE)
    targets = torch.randn(12, 2, generator=generator, dtype=DOUBLE)
    got = ridge_regression(features, targets, torch.tensor(0.7, dtype=DOUBLE))
    want = Ridge(alpha=0.7, fit_intercept=False).fit(features, targets).coef_.T
    assert np.abs(got.numpy() - want).max() < 1e-10


def test_both_forms_are_one() -> None:
    features = torch.randn(7, 7, dtype=DOUBLE)
    targets, penalty = torch.randn(7, 2, dtype=DOUBLE), torch.tensor(2.0, dtype=DOUBLE)
    padded = torch.cat([features, torch.zeros(1, 7, dtype=DOUBLE)])
    longer = torch.cat([targets, torch.zeros(1, 2, dtype=DOUBLE)])
    woodbury = ridge_regression(features, targets, penalty)
    primal = ridge_regression(padded, longer, penalty)
    assert torch.allclose(woodbury, primal, atol=1e-12)


def test_the_ridge_head_is_twice_scikit_learns() -> None:
    network, _ = identity()
    params = {"head.scale": torch.tensor(1.0, dtype=DOUBLE)}
    algorithm, samples = MetaOptNet(head="ridge"), support()
    got = algorithm.adapt(network, Meta(params), samples, 4)["weights"]
    ridge = Ridge(alpha=50, fit_intercept=False)
    want = 2 * ridge.fit(samples.inputs, one_hot(samples.targets)).coef_.T
    assert np.abs(got.numpy() - want).max() < 1e-10


def test_r2d2_is_scikit_learns_ridge_on_scaled_features_with_a_one() -> None:
    network, _ = identity()
    algorithm, samples = R2D2(penalty=0.3, learn_penalty=False), support()
    scalars = {"adjust.scale": 10.0, "adjust.shift": 0.0}
    meta = Meta({k: torch.tensor(v, dtype=DOUBLE) for k, v in scalars.items()})
    adapted = algorithm.adapt(network, meta, samples, 4)
    root = np.sqrt(12)
    features = np.hstack([samples.inputs.numpy(), np.ones((12, 1))])
    ridge = Ridge(alpha=0.3, fit_intercept=False)
    ridge.fit(features / root, one_hot(samples.targets).numpy() / root)
    assert np.abs(adapted["weights"].numpy() - ridge.coef_.T).max() < 1e-10
    logits = algorithm.predict(network, meta, adapted, samples.inputs)
    want = 10 * features @ ridge.coef_.T
    assert np.abs(logits.numpy() - want).max() < 1e-9


@pytest.mark.parametrize(
    "algorithm", [R2D2(), MetaOptNet(), MetaOptNet(head="ridge")], ids=repr
)
def test_logits_are_equivariant(algorithm) -> None:
    """Other names of the classes permute the logits; the support order is nothing."""
    network = TinyModel().build((6,), None, "batch").double()
    meta, samples = algorithm.init(network), support()
    queries = torch.randn(5, 6, dtype=DOUBLE)

    def logits(inputs: Tensor, labels: Tensor) -> Tensor:
        adapted = algorithm.adapt(network, meta, Samples(inputs, labels), 4)
        return algorithm.predict(network, meta, adapted, queries)

    plain = logits(*samples)
    names, order = torch.tensor([2, 0, 3, 1]), torch.randperm(12)
    renamed = logits(samples.inputs, names[samples.targets])
    assert torch.allclose(renamed[:, names], plain, atol=1e-9)
    shuffled = logits(samples.inputs[order], samples.targets[order])
    assert torch.allclose(shuffled, plain, atol=1e-9)


@pytest.mark.parametrize(
    ("algorithm", "head"),
    [(R2D2(scale_rate=7.0), "adjust."), (MetaOptNet(scale_rate=7.0), "head.")],
    ids=["r2d2", "metaoptnet"],
)
def test_scalars_of_the_head_have_a_rate_of_their_own(algorithm, head) -> None:
    """Adam's first step is `lr` times the sign of the gradient, whatever its size."""
    learner, meta = build_learner(
        algorithm, TinyModel(), Problem("classification", (6,), 3), "cpu", 0
    )
    learner.network.double()
    meta = algorithm.init(learner.network)
    settings = TrainingSettings(iterations=1, lr=1e-3)
    state = initial_state(meta, settings, algorithm.groups())
    next(iterations(learner, state, settings, draw, seed=0))
    for name, before in meta.params.items():
        moved = (state.meta.params[name] - before).abs().max().item()
        rate = 7 if name.startswith(head) else 1
        if name != "adjust.shift":  # which the softmax does not see
            assert moved == pytest.approx(rate * 1e-3, rel=1e-2), name
