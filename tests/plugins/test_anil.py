"""ANIL against MAML and finite differences (algorithms.md 13.6)."""

import torch
from torch import nn

from metapipe import Meta, Model, Problem, Samples
from metapipe.functional import meta_of
from metapipe.mapping import TaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe_plugins.algorithms.anil import ANIL
from metapipe_plugins.algorithms.maml import MAML

LOOP = TaskMap("loop")
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
    meta = meta_of(network)
    mine = anil.meta_gradient(network, meta, episodes, LOOP).gradients
    its = maml.meta_gradient(bare_head(3).double(), meta, episodes, LOOP).gradients
    for name, gradient in its.items():
        torch.testing.assert_close(mine[name], gradient, rtol=1e-12, atol=1e-14)


def difference(algorithm: ANIL) -> float:
    """Largest relative difference to central differences, over the body's weights."""
    episodes = blobs(tasks=2)
    torch.manual_seed(0)
    network = algorithm.build(TinyModel(width=4), PROBLEM).double()
    meta = meta_of(network)
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


def test_only_the_head_is_adapted() -> None:
    algorithm, episodes = ANIL(), blobs()
    network = algorithm.build(TinyModel(), PROBLEM).double()
    support = type(episodes.support)(*(t[0] for t in episodes.support))
    adapted = algorithm.adapt(network, meta_of(network), support, 3)
    assert set(adapted) == {"weight", "bias"}
    assert adapted["weight"].shape == (3, 16)
