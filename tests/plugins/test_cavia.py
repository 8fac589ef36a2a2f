"""CAVIA: closed form of a linear model, and nothing to adapt (algorithms.md 17)."""

import pytest
import torch
from torch import nn

from metapipe import Meta, Problem, Samples, UnsupportedError
from metapipe.numerics.functional import apply, gradient
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs, waves
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.cavia import CAVIA, Concatenated
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.mlp import MLP

LOOP = LocalTaskMap("loop")
GENTLY = TrainingSettings(iterations=100, tasks=4, lr=0.01)


class TestCAVIA(AlgorithmContract):
    algorithm = CAVIA()
    learning = GENTLY


class TestCAVIAOnImages(AlgorithmContract):
    algorithm = CAVIA(inner_steps=2)
    model = MLP(layers=(16,), activation="tanh")
    shape = (1, 3, 3)


class TestFirstOrderCAVIA(AlgorithmContract):
    algorithm = CAVIA(first_order=True)
    learning = GENTLY
    exact_gradient = False  # that is its point


def test_a_linear_model_by_hand() -> None:
    """y = w x + v c + b from c = 0, one step: c = 2 lr v mean(y - w x - b)."""
    layer = nn.Linear(2, 1).double()
    cavia = CAVIA(context=1, inner_lr=0.3)
    network = Concatenated(layer, 1)
    meta = cavia.init(network)
    support = Samples(*(t[0] for t in waves().support))
    got = cavia.adapt(network, meta, support, 1)["context"]
    (w, v), b = layer.weight[0], layer.bias[0]
    want = 2 * 0.3 * v * (support.targets - w * support.inputs - b).mean()
    torch.testing.assert_close(got[0], want.detach())


def test_without_a_context_it_is_supervised_learning() -> None:
    torch.manual_seed(0)
    cavia, episodes = CAVIA(context=0), blobs()
    problem = Problem("classification", (6,), 3)
    network = cavia.build(TinyModel(), problem).double()
    meta = cavia.init(network)
    step = cavia.meta_gradient(network, meta, episodes, LOOP)
    empty = torch.zeros(0, dtype=torch.float64)

    def loss(params):
        inputs = episodes.query.inputs.flatten(0, 1)
        return task_loss(
            apply(network, params, inputs, empty), episodes.query.targets.flatten()
        )

    want, _ = gradient(loss, meta.params)
    for name, value in want.items():
        torch.testing.assert_close(step.gradients[name], value)


def test_each_task_begins_at_zero_and_the_network_stays() -> None:
    cavia, episodes = CAVIA(), blobs()
    network = cavia.build(TinyModel(), Problem("classification", (6,), 3)).double()
    meta = cavia.init(network)
    assert not any("context" in name for name in meta.params)
    assert not cavia.unadapted(network, Meta(meta.params))["context"].any()
    support = Samples(*(t[0] for t in episodes.support))
    assert set(cavia.adapt(network, meta, support, 3)) == {"context"}


def test_on_images_the_head_begins_as_the_model_says() -> None:
    problem = Problem("classification", (1, 28, 28), 5)
    network = CAVIA().build(Conv4(head="zero"), problem)
    assert not dict(network.named_parameters())["head.weight"].any()


def test_a_context_that_normalisation_would_subtract_is_refused() -> None:
    """It was accepted, and the outputs moved by 1e-16 (audit B4)."""
    problem = Problem("regression", (1,), 1)
    with pytest.raises(UnsupportedError, match=r"model\.normalise=false"):
        CAVIA().build(MLP(normalise=True), problem)
