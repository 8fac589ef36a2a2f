"""Reptile against closed forms, joint training and torch's Adam (algorithms.md 6.6)."""

import pytest
import torch
from quadratic import quadratic_episode
from torch import nn

from metapipe import Episodes, Meta, Problem, Samples, Task
from metapipe.numerics.functional import apply
from metapipe.numerics.losses import task_loss
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe.training.learner import Learner
from metapipe.training.loop import initial_state, iterations
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.reptile import Reptile
from metapipe_plugins.models.mlp import MLP

LOOP = LocalTaskMap("loop")


class TestReptile(AlgorithmContract):
    algorithm = Reptile(inner_lr=0.01)
    exact_gradient = False  # of no loss


class TestReptileWithNormalisationAndFreshMoments(AlgorithmContract):
    algorithm = Reptile(inner_lr=0.01, moments="fresh")
    exact_gradient = False  # of no loss
    model = MLP(layers=(8,), normalise=True)


class TestReptileByGradientDescent(AlgorithmContract):
    algorithm = Reptile(inner_optimiser="sgd", inner_lr=0.1)
    exact_gradient = False  # of no loss


@pytest.mark.parametrize("mode", ["loop", "vmap"])
@pytest.mark.parametrize(("steps", "want"), [(1, (0.0, -2.5)), (3, (0.625, -5.5))])
def test_quadratic_fixture(mode, steps, want) -> None:
    """23.1: (theta - phi) / alpha."""
    network, meta, episodes = quadratic_episode()
    reptile = Reptile(inner_optimiser="sgd", inner_lr=0.1, inner_steps=steps)
    meta = Meta(meta.params, reptile.init(network).state)
    step = reptile.meta_gradient(network, meta, episodes, LocalTaskMap(mode))
    got = step.gradients["weight"].flatten() / 0.1
    assert got.tolist() == pytest.approx(want, abs=1e-10)


def problem() -> tuple[nn.Module, Meta, Episodes]:
    torch.manual_seed(0)
    network = TinyModel().build((6,), 3, "batch").double()
    return network, Meta.of(network), blobs(shots=4)


def test_one_step_of_gradient_descent_is_joint_training() -> None:
    network, meta, episodes = problem()
    reptile = Reptile(
        inner_optimiser="sgd", inner_lr=0.1, inner_steps=1, inner_batch=12
    )
    meta = Meta(meta.params, reptile.init(network).state)
    step = reptile.meta_gradient(network, meta, episodes, LOOP)
    leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    inputs = episodes.support.inputs.flatten(0, 1)
    loss, _ = task_loss(
        apply(network, leaves, inputs), episodes.support.targets.flatten()
    )
    grads = torch.autograd.grad(loss, tuple(leaves.values()))
    for got, want in zip(step.gradients.values(), grads, strict=True):
        torch.testing.assert_close(got, 0.1 * want, rtol=1e-10, atol=1e-12)


def test_adapting_is_torchs_adam() -> None:
    """With fresh moments, the whole support set in each step."""
    network, meta, episodes = problem()
    support = Samples(*(t[0] for t in episodes.support))
    reptile = Reptile(inner_lr=0.01, moments="fresh", test_steps=7, test_batch=12)
    meta = Meta(meta.params, reptile.init(network).state)
    got = reptile.adapt(network, meta, support, 3)
    leaves = {k: p.clone().requires_grad_() for k, p in meta.params.items()}
    adam = torch.optim.Adam(leaves.values(), lr=0.01, betas=(0.0, 0.999), eps=1e-12)
    for _ in range(7):
        adam.zero_grad()
        task_loss(apply(network, leaves, support.inputs), support.targets)[0].backward()
        adam.step()
    for name, want in leaves.items():
        torch.testing.assert_close(got[name], want.detach(), rtol=1e-4, atol=1e-6)


def test_shared_moments_are_carried_on_and_evaluation_leaves_them() -> None:
    network, _, episodes = problem()
    reptile = Reptile(inner_steps=3)
    meta = reptile.init(network)
    torch.manual_seed(0)
    first = reptile.meta_gradient(network, meta, episodes, LOOP)
    assert first.state["moment_steps"].item() == 3
    assert all(first.state[f"moment.{name}"].any() for name in meta.params)
    kept = {k: v.clone() for k, v in first.state.items()}
    later = Meta(meta.params, first.state)
    reptile.adapt(network, later, Samples(*(t[0] for t in episodes.support)), 3)
    assert all(torch.equal(later.state[k], v) for k, v in kept.items())
    torch.manual_seed(0)
    second = reptile.meta_gradient(network, later, episodes, LOOP)
    name = "head.weight"
    assert not torch.allclose(first.gradients[name], second.gradients[name])
    assert second.state["moment_steps"].item() == 6


def test_mini_batches_use_every_example_before_any_comes_again() -> None:
    reptile = Reptile(inner_steps=5, inner_batch=5)
    episodes = blobs(tasks=2, ways=3, shots=4)  # 12 examples, 25 used
    batches = reptile.mini_batches(episodes)
    assert batches.support.inputs.shape == (2, 25, 6)
    for task in range(2):
        rows = batches.support.inputs[task].tolist()
        every = sorted(episodes.support.inputs[task].tolist())
        assert sorted(rows[:12]) == every
        assert sorted(rows[12:24]) == every


@pytest.mark.parametrize("epsilon", [1e-300, 0.25, 1.0])
def test_training_goes_the_part_epsilon_of_the_way(epsilon) -> None:
    """As good as zero, which settings refuse, it goes nowhere."""
    network, meta, episodes = quadratic_episode()
    reptile = Reptile(inner_optimiser="sgd", inner_lr=0.1, inner_steps=3)
    settings = TrainingSettings(iterations=1, tasks=1, lr=epsilon, optimiser="sgd")
    state = initial_state(Meta(meta.params, reptile.init(network).state), settings)
    problem = Problem("regression", (2,), 1)
    learner = Learner(reptile, network, problem, "cpu", LOOP)
    for _ in iterations(learner, state, settings, lambda _: [episodes], seed=0):
        pass
    way = torch.tensor([[-0.0625, 0.55]], dtype=torch.float64)
    got, want = state.meta.params["weight"].detach(), meta.params["weight"]
    torch.testing.assert_close(got, want + epsilon * way, rtol=1e-12, atol=0)


class Root(nn.Module):
    """The square root of w'x, whose squared difference to 0 is linear in w."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((6,), 9.0, dtype=torch.float64))

    def forward(self, inputs):
        return (inputs @ self.weight).sqrt()[:, None]


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_of_a_linear_loss_k_steps_are_k_gradients(steps) -> None:
    network, recipe = Root(), Task("none", "train", 0, 0, 1, 4, 4)
    inputs = 1 + torch.rand(1, 4, 6, dtype=torch.float64)
    part = Samples(inputs, torch.zeros(1, 4, 1, dtype=torch.float64))
    reptile = Reptile(inner_optimiser="sgd", inner_lr=0.1, inner_steps=steps)
    step = reptile.meta_gradient(
        network, reptile.init(network), Episodes((recipe,), part, part), LOOP
    )
    want = 0.1 * steps * inputs[0].mean(0)
    torch.testing.assert_close(step.gradients["weight"], want, rtol=1e-12, atol=0)


def test_epsilon_one_with_one_task_is_where_the_task_ended() -> None:
    network, meta, episodes = quadratic_episode()
    reptile = Reptile(inner_optimiser="sgd", inner_lr=0.1, inner_steps=3)
    meta = Meta(meta.params, reptile.init(network).state)
    step = reptile.meta_gradient(network, meta, episodes, LOOP)
    end = meta.params["weight"] - 1.0 * step.gradients["weight"]
    assert end.flatten().tolist() == pytest.approx((0.9375, -0.45), abs=1e-10)
