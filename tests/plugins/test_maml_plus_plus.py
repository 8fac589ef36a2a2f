"""MAML++: its weights, and MAML with every trick off (algorithms.md 14)."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from metapipe import Meta, Problem, Samples, UnsupportedError
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


def forward(theta, norms, inputs, like=None):
    """A normalised perceptron in plain torch; by the statistics of other inputs, if
    those are handed in."""
    hidden = inputs @ theta["hidden.weight"].T + theta["hidden.bias"]
    seen = hidden
    if like is not None:
        seen = like @ theta["hidden.weight"].T + theta["hidden.bias"]
    spread = seen.var(0, unbiased=False) + 1e-5
    hidden = (hidden - seen.mean(0)) / spread.sqrt() * norms[0] + norms[1]
    return torch.tanh(hidden) @ theta["head.weight"].T + theta["head.bias"]


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_every_step_has_scales_and_shifts_of_its_own(statistics) -> None:
    """Its support pass and the queries after it: against a loop in plain torch."""
    settings = {"step_normalisation": True, "statistics": statistics}
    plus = MAMLPlusPlus(inner_steps=2, multi_step_iterations=10, **settings)
    problem = Problem("classification", (6,), 3)
    torch.manual_seed(0)
    network = plus.build(TinyModel(width=5, normalise=True), problem).double()
    meta, episodes = plus.init(network), blobs(tasks=2)
    assert meta.params["step.norm.weight"].shape == (2, 5)
    assert "norm.weight" not in meta.params
    moved = {k: p + 0.1 * torch.randn_like(p) for k, p in meta.params.items()}
    meta = Meta(moved, {"iteration": torch.tensor(4.0)})
    leaves = {name: p.clone().requires_grad_() for name, p in moved.items()}
    total = 0.0
    for task in range(2):
        support, query = (
            Samples(*(t[task] for t in part))
            for part in (episodes.support, episodes.query)
        )
        theta = {k: p for k, p in leaves.items() if k.startswith(("hidden", "head"))}
        for step, weight in enumerate((0.3, 0.7)):
            norms = [leaves[f"step.norm.{n}"][step] for n in ("weight", "bias")]
            loss = F.cross_entropy(forward(theta, norms, support[0]), support[1])
            slopes = torch.autograd.grad(loss, [*theta.values()], create_graph=True)
            theta = {
                name: p - leaves[f"rate.{name}"][step] * slope
                for (name, p), slope in zip(theta.items(), slopes, strict=True)
            }
            like = support.inputs if statistics == "support" else None
            outputs = forward(theta, norms, query.inputs, like)
            total += weight * F.cross_entropy(outputs, query.targets) / 2
    want = torch.autograd.grad(total, [*leaves.values()])
    found = plus.meta_gradient(network, meta, episodes, LOOP).gradients
    for name, gradient in zip(leaves, want, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)
    adapted = plus.adapt(network, meta, support, 3)
    got = plus.predict(network, meta, adapted, query.inputs)
    torch.testing.assert_close(got, outputs.detach(), rtol=1e-9, atol=1e-12)


def test_what_no_step_could_have_is_refused() -> None:
    plus = MAMLPlusPlus(step_normalisation=True, adapt_normalisation=True)
    with pytest.raises(UnsupportedError, match=r"leave algorithm\.adapt_normal"):
        plus.build(TinyModel(normalise=True), Problem("classification", (6,), 3))
