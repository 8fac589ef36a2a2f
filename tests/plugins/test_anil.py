"""ANIL against MAML and finite differences (algorithms.md 13.6)."""

import torch
from torch import nn

from metapipe import Meta, Model, Problem, Samples
from metapipe.numerics.functional import apply, within
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs, waves
from metapipe_plugins.algorithms.anil import ANIL
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

LOOP = LocalTaskMap("loop")
PROBLEM = Problem("classification", (6,), 3)


class TestANIL(AlgorithmContract):
    algorithm = ANIL()


class TestFirstOrderANIL(AlgorithmContract):
    algorithm = ANIL(first_order=True, inner_steps=2)
    exact_gradient = False  # that is its point


class Bare(Model):
    """A head and nothing before it."""

    def build(self, shape, outputs, statistics) -> nn.Module:
        return nn.Flatten() if outputs is None else bare_head(outputs)


def bare_head(outputs: int) -> nn.Module:
    network = nn.Sequential()
    network.add_module("flatten", nn.Flatten())
    network.add_module("head", nn.Linear(6, outputs))
    return network


def test_without_a_body_it_is_maml() -> None:
    episodes = blobs()
    anil, maml = ANIL(inner_steps=3), MAML(inner_steps=3, inner_lr=0.1)
    network = anil.build(Bare(), PROBLEM).double()
    meta = Meta.of(network)
    mine = anil.meta_gradient(network, meta, episodes, LOOP).gradients
    its = maml.meta_gradient(bare_head(3).double(), meta, episodes, LOOP).gradients
    for name, gradient in its.items():
        torch.testing.assert_close(mine[name], gradient, rtol=1e-12, atol=1e-14)


def difference(algorithm: ANIL) -> float:
    """Largest relative difference to central differences, over the body's weights."""
    episodes = blobs(tasks=2)
    torch.manual_seed(0)
    network = algorithm.build(TinyModel(width=4), PROBLEM).double()
    meta = Meta.of(network)
    grads = algorithm.meta_gradient(network, meta, episodes, LOOP).gradients
    name, worst = "body.hidden.weight", 0.0
    for index in [(0, 0), (1, 3), (3, 5)]:
        losses = []
        for sign in (1, -1):
            moved = meta.params[name].clone()
            moved[index] += sign * 1e-5
            there = type(meta)({**meta.params, name: moved})
            step = algorithm.meta_gradient(network, there, episodes, LOOP)
            losses.append(step.metrics["loss"].mean().item())
        want = (losses[0] - losses[1]) / 2e-5
        worst = max(worst, abs(grads[name][index].item() - want) / abs(want))
    return worst


def test_features_learn_through_the_support_set_too() -> None:
    assert difference(ANIL(inner_steps=3)) < 1e-6


def test_first_order_does_not() -> None:
    assert difference(ANIL(inner_steps=3, first_order=True)) > 1e-3


def test_the_fixture() -> None:
    """23.1, with the second coordinate as the head: phi = (1, -0.75)."""
    matrix = torch.tensor([[2.0, 1], [1, 3]], dtype=torch.float64)
    root = torch.linalg.cholesky(matrix).T
    centre = torch.tensor([0.5, 0], dtype=torch.float64)
    # With the first coordinate 1 and fixed, the head's weight w has the loss
    # 1/2 |root (1, w) - root centre|^2, a mean squared error of two points.
    support = Samples(root[:, 1:], (root @ centre - root[:, 0])[:, None])
    anil = ANIL(inner_lr=0.1, inner_steps=1)
    network = nn.ModuleDict({"body": nn.Identity(), "head": nn.Linear(1, 1)}).double()
    meta = Meta(
        {
            "head.weight": torch.tensor([[-1.0]], dtype=torch.float64),
            "head.bias": torch.zeros(1, dtype=torch.float64),
        }
    )
    adapted = anil.adapt(network, meta, support, 1)
    assert abs(adapted["weight"].item() + 0.75) < 1e-12


def linear(network: nn.Module, meta: Meta, support: Samples):
    """A matrix and a vector: k steps on the squared error of the head's outputs take
    its weights and bias w to end + matrix (w - end), with `end` the least squares."""
    features = apply(network["body"], within(meta.params, "body"), support.inputs)
    design = torch.cat([features, torch.ones_like(features[:, :1])], 1)
    count, size = design.shape
    eye = torch.eye(size, dtype=design.dtype)
    matrix = (eye - 0.1 * 2 / count * design.T @ design).matrix_power(3)
    return matrix, torch.linalg.lstsq(design, support.targets).solution[:, 0]


def waves_to_fit():
    torch.manual_seed(0)
    anil = ANIL(inner_lr=0.1, inner_steps=3)
    network = anil.build(TinyModel(width=4), Problem("regression", (1,), 1)).double()
    return anil, network, Meta.of(network), waves(shots=12)


def flat(head) -> torch.Tensor:
    return torch.cat([head["weight"][0], head["bias"]])


def test_the_adapted_head_has_a_closed_form() -> None:
    anil, network, meta, episodes = waves_to_fit()
    support = Samples(*(t[0] for t in episodes.support))
    matrix, end = linear(network, meta, support)
    got = flat(anil.adapt(network, meta, support, 1))
    want = end + matrix @ (flat(within(meta.params, "head")) - end)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def test_the_heads_gradient_has_a_closed_form() -> None:
    anil, network, meta, episodes = waves_to_fit()
    step = anil.meta_gradient(network, meta, episodes, LOOP)
    wants = []
    for *support, inputs, targets in zip(
        *episodes.support, *episodes.query, strict=True
    ):
        matrix, _ = linear(network, meta, Samples(*support))
        head = anil.adapt(network, meta, Samples(*support), 1)
        leaves = {name: p.clone().requires_grad_() for name, p in head.items()}
        features = apply(network["body"], within(meta.params, "body"), inputs)
        loss, _ = task_loss(apply(network["head"], leaves, features), targets)
        grads = torch.autograd.grad(loss, tuple(leaves.values()))
        wants.append(matrix @ flat(dict(zip(leaves, grads, strict=True))))
    got = flat(within(step.gradients, "head"))
    want = torch.stack(wants).mean(0)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_only_the_head_is_adapted() -> None:
    algorithm, episodes = ANIL(), blobs()
    network = algorithm.build(TinyModel(), PROBLEM).double()
    support = type(episodes.support)(*(t[0] for t in episodes.support))
    adapted = algorithm.adapt(network, Meta.of(network), support, 3)
    assert set(adapted) == {"weight", "bias"}
    assert adapted["weight"].shape == (3, 16)


def test_the_head_begins_as_the_model_says() -> None:
    """`model.head=zero` was ignored (audit B5): the head was ANIL's own."""
    problem = Problem("classification", (1, 28, 28), 5)
    network = ANIL().build(Conv4(head="zero"), problem)
    head = dict(network.named_parameters())["head.weight"]
    assert head.shape == (5, 64)
    assert not head.any()
