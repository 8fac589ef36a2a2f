"""MAML against closed forms and finite differences (algorithms.md 4.6 and 23.1)."""

import pytest
import torch
from quadratic import quadratic_episode
from tiny_classification import LOOP, classification
from torch import nn

from metapipe import Episodes, Meta, Problem, Samples, UnsupportedError
from metapipe.numerics.functional import apply, inner_loop
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.mlp import MLP


@pytest.mark.parametrize("mode", ["loop", "vmap"])
@pytest.mark.parametrize(
    ("steps", "first_order", "adapted", "gradient", "loss"),
    [
        (1, False, (1.0, -0.75), (2.15, -4.05), 9.5625),
        (1, True, (1.0, -0.75), (2.0, -5.5), 9.5625),
        (3, False, (0.9375, -0.45), (1.8695625, -2.117875), 7.879453125),
        (3, True, (0.9375, -0.45), (1.9375, -4.9), 7.879453125),
    ],
)
def test_quadratic_fixture(mode, steps, first_order, adapted, gradient, loss) -> None:
    network, meta, episodes = quadratic_episode()
    maml = MAML(inner_lr=0.1, inner_steps=steps, first_order=first_order)
    support = Samples(*(t[0] for t in episodes.support))
    phi = maml.adapt(network, meta, support, 3)["weight"]
    assert phi.flatten().tolist() == pytest.approx(adapted, abs=1e-10)
    step = maml.meta_gradient(network, meta, episodes, LocalTaskMap(mode))
    assert step.gradients["weight"].flatten().tolist() == pytest.approx(
        gradient, abs=1e-10
    )
    assert step.metrics["loss"].item() == pytest.approx(loss, abs=1e-10)


def meta_loss(maml: MAML, network: nn.Module, meta: Meta, episodes: Episodes) -> float:
    return float(
        maml.meta_gradient(network, meta, episodes, LOOP).metrics["loss"].mean()
    )


def difference_to_finite(maml: MAML) -> float:
    """Largest relative difference of the meta-gradient to central differences."""
    network, meta, episodes = classification()
    grads = maml.meta_gradient(network, meta, episodes, LOOP).gradients
    worst = 0.0
    for name, p in meta.params.items():
        for index in range(0, p.numel(), 5):
            step = torch.zeros_like(p)
            step.view(-1)[index] = 1e-5
            up = Meta({**meta.params, name: p + step})
            down = Meta({**meta.params, name: p - step})
            finite = (
                meta_loss(maml, network, up, episodes)
                - meta_loss(maml, network, down, episodes)
            ) / 2e-5
            exact = grads[name].view(-1)[index].item()
            worst = max(worst, abs(finite - exact) / max(abs(exact), 1e-2))
    return worst


@pytest.mark.parametrize("steps", [1, 3])
def test_meta_gradient_equals_finite_differences(steps: int) -> None:
    assert difference_to_finite(MAML(inner_steps=steps)) < 1e-6


def test_first_order_is_not_the_derivative() -> None:
    assert difference_to_finite(MAML(inner_steps=3, first_order=True)) > 1e-3


def test_without_a_step_size_it_is_multi_task_descent() -> None:
    network, meta, episodes = classification()
    leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    losses = [
        task_loss(apply(network, leaves, x), y)[0]
        for x, y in zip(*episodes.query, strict=True)
    ]
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(leaves.values()))
    for first_order in (False, True):
        maml = MAML(inner_lr=1e-300, first_order=first_order)
        grads = maml.meta_gradient(network, meta, episodes, LOOP).gradients
        for ours, theirs in zip(grads.values(), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


def test_the_reference_loss_is_ways_times_the_mean() -> None:
    network, meta, episodes = classification()
    support = Samples(*(t[0] for t in episodes.support))
    reference = MAML(inner_lr=0.1).adapt(network, meta, support, 3)
    mean = MAML(inner_lr=0.3, inner_loss="mean").adapt(network, meta, support, 3)
    for name in reference:
        torch.testing.assert_close(reference[name], mean[name], rtol=0, atol=1e-14)


def test_normalisation_is_adapted_only_on_request() -> None:
    torch.manual_seed(0)
    network = MLP(layers=(6,), normalise=True).build((4,), 3, "batch").double()
    meta = Meta.of(network)
    _, _, episodes = classification()
    support = Samples(*(t[0] for t in episodes.support))
    kept = MAML().adapt(network, meta, support, 3)
    moved = MAML(adapt_normalisation=True).adapt(network, meta, support, 3)
    assert torch.equal(kept["norm1.weight"], meta.params["norm1.weight"])
    assert not torch.equal(moved["norm1.weight"], meta.params["norm1.weight"])
    assert set(kept) == set(meta.params)


def test_test_steps_replace_training_steps_only_when_used() -> None:
    network, meta, episodes = classification()
    support = Samples(*(t[0] for t in episodes.support))
    plain, more = MAML(inner_steps=1), MAML(inner_steps=1, test_steps=3)
    three = MAML(inner_steps=3)
    assert meta_loss(plain, network, meta, episodes) == meta_loss(
        more, network, meta, episodes
    )
    adapted = more.adapt(network, meta, support, 3)
    for name, value in three.adapt(network, meta, support, 3).items():
        assert torch.equal(adapted[name], value)


def test_other_ways_than_trained_are_refused() -> None:
    trained = Problem("classification", (1, 28, 28), 5)
    MAML().check(trained, trained)
    with pytest.raises(UnsupportedError, match="--ways 20"):
        MAML().check(trained, Problem("classification", (1, 28, 28), 20))


@pytest.mark.parametrize("steps", [1, 3])
def test_without_curvature_first_order_is_exact(steps) -> None:
    """4.6: a support loss that is linear in the parameters has no second derivative."""

    def linear(params):
        loss = sum(
            (c * p).sum() for c, p in zip((0.3, -2.0), params.values(), strict=True)
        )
        return loss, {}

    params = {n: torch.randn(3, dtype=torch.float64).requires_grad_() for n in "ab"}
    grads = []
    for second_order in (True, False):
        phi = inner_loop(linear, params, lr=0.1, steps=steps, second_order=second_order)
        query = sum((p**3).sum() for p in phi.values())
        grads.append(torch.autograd.grad(query, list(params.values())))
    for exact, first in zip(*grads, strict=True):
        assert torch.equal(exact, first)
