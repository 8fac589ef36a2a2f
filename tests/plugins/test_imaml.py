"""iMAML against closed forms (algorithms.md 15.6 and 23.1)."""

import pytest
import torch
from quadratic import quadratic_episode

from metapipe import Samples
from metapipe.numerics.functional import apply, gradient
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe_plugins.algorithms.imaml import IMAML


class TestIMAML(AlgorithmContract):
    algorithm = IMAML(inner_steps=4, proximity=0.5)
    exact_gradient = False  # it is that of the inner problem's end, not of 4 steps


@pytest.mark.parametrize("mode", ["loop", "vmap"])
@pytest.mark.parametrize("solver_steps", [2, 9])
def test_quadratic_fixture(mode, solver_steps) -> None:
    network, meta, episodes = quadratic_episode()
    settings = {"inner_lr": 0.2, "inner_steps": 400, "proximity": 2.0}
    imaml = IMAML(**settings, solver_steps=solver_steps)
    support = Samples(*(t[0] for t in episodes.support))
    phi = imaml.adapt(network, meta, support, 1)["weight"].flatten()
    assert phi.tolist() == pytest.approx((0.86842105, -0.47368421), abs=1e-8)
    step = imaml.meta_gradient(network, meta, episodes, LocalTaskMap(mode))
    got = step.gradients["weight"].flatten().tolist()
    assert got == pytest.approx((1.50415512, -2.27977839), abs=1e-8)


def test_held_fast_it_is_the_gradient_at_the_initialisation() -> None:
    torch.manual_seed(0)
    network = TinyModel().build((6,), 3, "batch").double()
    imaml, episodes = IMAML(inner_lr=1e-9, inner_steps=2, proximity=1e8), blobs(tasks=1)
    meta = imaml.init(network)
    step = imaml.meta_gradient(network, meta, episodes, LocalTaskMap("loop"))

    def loss(params):
        inputs, targets = episodes.query.inputs[0], episodes.query.targets[0]
        return task_loss(apply(network, params, inputs), targets)

    want, _ = gradient(loss, meta.params)
    for name, value in want.items():
        torch.testing.assert_close(step.gradients[name], value, rtol=1e-5, atol=1e-8)
