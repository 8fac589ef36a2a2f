"""MAML++: its weights, and MAML with every trick off (algorithms.md 14)."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from metapipe import Meta, Samples
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.maml_plus_plus import MAMLPlusPlus, step_weights

LOOP = LocalTaskMap("loop")


MULTI_STEP = {"multi_step": True}
"""The losses after all steps count, the last is reported."""


class TestMAMLPlusPlus(AlgorithmContract):
    algorithm = MAMLPlusPlus(inner_steps=3)
    inexact = MULTI_STEP


class TestMAMLPlusPlusOfTheLastStep(AlgorithmContract):
    algorithm = MAMLPlusPlus(inner_steps=3, multi_step=False)
    inexact = MULTI_STEP


@pytest.mark.parametrize(
    ("progress", "early", "last"),
    [(0.0, 0.2, 0.2), (0.5, 0.1, 0.6), (0.9, 0.02, 0.92), (1.0, 0.0, 1.0)],
)
def test_the_references_weights(progress, early, last) -> None:
    assert step_weights(5, progress) == pytest.approx([early] * 4 + [last])


@pytest.mark.parametrize("progress", [0, 0.1, 0.5, 0.97, 0.99, 1, 2])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_weights_sum_to_one(progress, steps) -> None:
    assert sum(step_weights(steps, progress)) == pytest.approx(1)


def problem():
    torch.manual_seed(0)
    return TinyModel().build((6,), 3, "batch").double(), blobs()


def test_with_the_tricks_off_it_is_maml() -> None:
    network, episodes = problem()
    maml = MAML(inner_steps=3, inner_lr=0.1, inner_loss="mean")
    plus = MAMLPlusPlus(inner_steps=3, learn_rates=False, multi_step=False)
    want = maml.meta_gradient(network, Meta.of(network), episodes, LOOP)
    got = plus.meta_gradient(network, plus.init(network), episodes, LOOP)
    for name, gradient in want.gradients.items():
        torch.testing.assert_close(
            got.gradients[name], gradient, rtol=1e-12, atol=1e-14
        )


def test_rates_that_are_all_alike_change_nothing_else() -> None:
    network, episodes = problem()
    with_rates = MAMLPlusPlus(inner_steps=3)
    without = MAMLPlusPlus(inner_steps=3, learn_rates=False)
    first, second = (
        plus.meta_gradient(network, plus.init(network), episodes, LOOP)
        for plus in (with_rates, without)
    )
    for name, gradient in second.gradients.items():
        torch.testing.assert_close(first.gradients[name], gradient)
    assert first.gradients["rate.head.weight"].shape == (3,)
    assert first.gradients["rate.head.weight"].all()


def gradients_after_each_step(network, params, support, query, steps):
    """Of the query loss, by torch alone; the rates are among the parameters."""
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    theta = {k: p for k, p in leaves.items() if not k.startswith("rate.")}
    found = []
    for step in range(steps):
        outputs = functional_call(network, theta, (support.inputs,))
        loss = F.cross_entropy(outputs, support.targets)
        slopes = torch.autograd.grad(loss, tuple(theta.values()), create_graph=True)
        theta = {
            name: p - leaves[f"rate.{name}"][step] * slope
            for (name, p), slope in zip(theta.items(), slopes, strict=True)
        }
        outputs = functional_call(network, theta, (query.inputs,))
        grads = torch.autograd.grad(
            F.cross_entropy(outputs, query.targets),
            tuple(leaves.values()),
            retain_graph=True,
            materialize_grads=True,
        )
        found.append(dict(zip(leaves, grads, strict=True)))
    return found


def test_the_gradient_is_the_weighted_sum_of_those_after_each_step() -> None:
    network, episodes = problem()
    plus = MAMLPlusPlus(inner_steps=3, multi_step_iterations=10)
    meta = plus.init(network)
    meta = type(meta)(meta.params, {"iteration": torch.tensor(4.0)})
    step = plus.meta_gradient(network, meta, episodes, LOOP)
    tasks = len(episodes.tasks)
    want = {name: torch.zeros_like(p) for name, p in meta.params.items()}
    for task in range(tasks):
        support, query = (
            Samples(*(t[task] for t in part))
            for part in (episodes.support, episodes.query)
        )
        steps = gradients_after_each_step(network, meta.params, support, query, 3)
        for weight, grads in zip((0.2, 0.2, 0.6), steps, strict=True):
            for name, grad in grads.items():
                want[name] += weight * grad / tasks
    for name, gradient in step.gradients.items():
        torch.testing.assert_close(gradient, want[name], rtol=1e-10, atol=1e-13)


def test_the_order_of_derivatives_is_annealed() -> None:
    network, episodes = problem()
    annealed = MAMLPlusPlus(inner_steps=2, multi_step=False, first_order_iterations=1)
    plain = MAMLPlusPlus(inner_steps=2, multi_step=False)
    meta = annealed.init(network)
    name = "hidden.weight"
    first = annealed.meta_gradient(network, meta, episodes, LOOP)
    full = plain.meta_gradient(network, meta, episodes, LOOP).gradients[name]
    assert not torch.allclose(first.gradients[name], full)
    later = type(meta)(meta.params, first.state)
    second = annealed.meta_gradient(network, later, episodes, LOOP)
    torch.testing.assert_close(second.gradients[name], full)
    assert second.state["iteration"].item() == 2
