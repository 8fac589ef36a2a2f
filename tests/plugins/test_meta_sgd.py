"""Meta-SGD against its closed form and against MAML (algorithms.md 5.6 and 23.1)."""

import pytest
import torch
from quadratic import quadratic_episode
from tiny_classification import LOOP, classification

from metapipe import Meta
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.meta_sgd import MetaSGD


def test_quadratic_fixture() -> None:
    network, meta, episodes = quadratic_episode()
    ours = MetaSGD()
    rate = torch.full_like(meta.params["weight"], 0.1)
    meta = Meta({**meta.params, "rate.weight": rate})
    grads = ours.meta_gradient(network, meta, episodes, LOOP).gradients
    assert grads["weight"].flatten().tolist() == pytest.approx([2.15, -4.05], abs=1e-10)
    assert grads["rate.weight"].flatten().tolist() == pytest.approx(
        [0.0, -13.75], abs=1e-10
    )


def test_a_shared_constant_rate_is_maml() -> None:
    network, _, episodes = classification()
    ours, maml = MetaSGD(initial_rate=0.3), MAML(inner_lr=0.3)
    meta = ours.init(network)
    mine = ours.meta_gradient(network, meta, episodes, LOOP)
    theirs = maml.meta_gradient(network, maml.init(network), episodes, LOOP)
    for name, grad in theirs.gradients.items():
        torch.testing.assert_close(mine.gradients[name], grad, rtol=0, atol=1e-12)
    assert torch.equal(mine.metrics["loss"], theirs.metrics["loss"])


def test_there_is_a_rate_for_every_element() -> None:
    network, _, _ = classification()
    params = MetaSGD().init(network).params
    theta = {k: p for k, p in params.items() if not k.startswith("rate.")}
    rates = {k.removeprefix("rate."): p for k, p in params.items() if k not in theta}
    assert {k: p.shape for k, p in theta.items()} == {
        k: p.shape for k, p in rates.items()
    }


def test_rates_of_zero_leave_theta_and_still_have_a_gradient() -> None:
    """d/dalpha is minus the product of query and support gradient."""
    network, meta, episodes = quadratic_episode()
    zero = Meta({**meta.params, "rate.weight": torch.zeros_like(meta.params["weight"])})
    grads = MetaSGD().meta_gradient(network, zero, episodes, LOOP).gradients
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    support = matrix @ torch.tensor([0.5, -1.0], dtype=torch.float64)
    query = torch.tensor([2.0, -6.0], dtype=torch.float64)
    torch.testing.assert_close(grads["weight"].flatten(), query)
    torch.testing.assert_close(grads["rate.weight"].flatten(), -query * support)
