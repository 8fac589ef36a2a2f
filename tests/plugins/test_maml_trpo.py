"""MAML-TRPO against closed forms, explicit Hessians and finite differences."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector
from toy_worlds import CHOICE, GAUSSIAN, start, toy_meta_batch, toy_policy

from metapipe import Episodes, Meta, Task, Trajectories
from metapipe.numerics import LocalTaskMap, divergence, log_prob
from metapipe_plugins.algorithms.maml_trpo import MAMLTRPO

KL = 1e-6
"""So little that the full step is taken."""

LOOP = LocalTaskMap("loop")
MAPS = [
    LOOP,
    LocalTaskMap("vmap"),
    LocalTaskMap("chunks", 2),
    LocalTaskMap("threads", 2),
]


class Mean(nn.Module):
    """A policy N(theta, 1) of one number, whatever is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, inputs):
        mean = self.theta.expand(len(inputs), 1)
        return torch.cat([mean, torch.zeros_like(mean)], -1)


def pulls(worth: float, rounds: int = 1) -> Episodes:
    """Pulls at -1 and 1 of N(0, 1), the second of which is worth that much more."""
    actions = torch.tensor([-1.0, 1.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    rewards = actions[..., 0] * worth
    real = torch.ones_like(rewards, dtype=torch.bool)
    outputs = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    query = Trajectories(
        actions, actions, rewards, real, ~real, outputs, rewards[..., 0]
    )
    support = Trajectories(*(t[:, None].repeat_interleave(rounds, 1) for t in query))
    return Episodes((Task("pulls", "train", 0, 0, 1, 2, 2),), support, query)


def test_the_step_of_one_gaussian_mean() -> None:
    """Its divergence is step^2 / 2: with a bound of 0.01 the step is sqrt(0.02)."""
    network = Mean()
    trpo = MAMLTRPO(inner_lr=0, curvature=1)
    step = trpo.meta_gradient(network, start(network), pulls(1.0), LOOP)
    assert step.gradients["theta"].item() == pytest.approx(-math.sqrt(0.02), rel=1e-5)
    assert step.metrics["kl"].item() == pytest.approx(0.01, rel=1e-4)
    assert step.metrics["line_search"].item() == 1


def test_what_cannot_improve_stays_as_it_is() -> None:
    """To the bit, where no action is better than another; and where the bound allows no
    step of those tried."""
    for trpo, worth in (
        (MAMLTRPO(), 0.0),
        (MAMLTRPO(inner_lr=0, solver_steps=1, backtracks=1, damping=0), 1.0),
    ):
        network = Mean()
        episodes = pulls(worth)
        if worth:  # the policy that acted is too far away for any step
            outputs = episodes.query.outputs + 1
            episodes = episodes._replace(query=episodes.query._replace(outputs=outputs))
        step = trpo.meta_gradient(network, start(network), episodes, LOOP)
        assert not step.gradients["theta"].any()
        assert step.metrics["line_search"].item() == 0
        assert step.metrics["kl"].item() == 0


def explicit(network: nn.Module, episodes: Episodes, alpha: float, kl: float):
    """TRPO's full step with a Hessian that is written down, and everything else by
    torch's own means: one step of REINFORCE, then the mean of the tasks' surrogates."""
    shapes = {name: p.shape for name, p in network.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    theta = parameters_to_vector(network.parameters()).detach()
    trpo = MAMLTRPO()

    def outputs(flat, seen):
        parts = zip(shapes, flat.split(sizes), strict=True)
        named = {name: part.reshape(shapes[name]) for name, part in parts}
        return torch.func.functional_call(network, named, (seen.flatten(0, 1),))

    def adapted(flat, drawn):
        said = outputs(flat, drawn.inputs).unflatten(0, drawn.rewards.shape)
        likely = log_prob(said, drawn.targets)
        value = (likely * trpo.worth(drawn))[drawn.real].mean()
        return flat + alpha * torch.autograd.grad(value, flat, create_graph=True)[0]

    def tasks():
        for number in range(len(episodes.tasks)):
            support = Trajectories(*(t[number, 0] for t in episodes.support))
            yield support, Trajectories(*(t[number] for t in episodes.query))

    def value(flat):
        found = []
        for support, query in tasks():
            said = outputs(adapted(flat, support), query.inputs)
            said = said.unflatten(0, query.rewards.shape)
            old = log_prob(query.outputs, query.targets)
            ratio = (log_prob(said, query.targets) - old).exp()
            found.append((ratio * trpo.worth(query))[query.real].mean())
        return torch.stack(found).mean()

    def apart(flat):
        found = []
        for support, query in tasks():
            old = outputs(
                adapted(theta.clone().requires_grad_(), support), query.inputs
            )
            new = outputs(adapted(flat, support), query.inputs)
            each = divergence(old.detach(), new, query.targets.flatten(0, 1))
            found.append(each[query.real.flatten()].mean())
        return torch.stack(found).mean()

    leaf = theta.clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(leaf), leaf)
    hessian = torch.autograd.functional.hessian(apart, theta)
    direction = torch.linalg.solve(hessian + 1e-3 * torch.eye(len(theta)), slope)
    step = direction * (2 * kl / (direction @ slope)).sqrt()
    parts = zip(shapes, step.split(sizes), strict=True)
    return {name: part.reshape(shapes[name]) for name, part in parts}


@pytest.mark.parametrize("over", MAPS, ids=str)
@pytest.mark.parametrize("problem", [GAUSSIAN, CHOICE], ids=lambda p: p.actions)
def test_the_step_is_that_of_an_explicit_hessian(over, problem) -> None:
    """The divergence's whole Hessian through the inner step, by differentiating it
    twice; with an inner step size of 0 that is plain TRPO on all tasks together."""
    network = toy_policy(problem, width=2)
    count = sum(p.numel() for p in network.parameters())
    episodes = toy_meta_batch(network, problem=problem)
    for alpha in (0.0, 0.3):
        trpo = MAMLTRPO(
            inner_lr=alpha,
            curvature=1,
            kl=KL,
            damping=1e-3,
            solver_steps=2 * count,
        )
        acted = own_outputs(trpo, network, episodes)
        step = trpo.meta_gradient(network, start(network), acted, over)
        assert step.metrics["line_search"][0] == 1
        wanted = explicit(network, acted, alpha, KL)
        for name, moved in step.gradients.items():
            torch.testing.assert_close(-moved, wanted[name], rtol=1e-5, atol=1e-8)


def own_outputs(trpo: MAMLTRPO, network: nn.Module, episodes: Episodes) -> Episodes:
    """With the outputs of the policy that is adapted from the support set."""

    def said(support, query):
        adapted = trpo.adapt(network, start(network), support, 1)
        inputs = query.inputs
        outputs = trpo.predict(network, start(network), adapted, inputs.flatten(0, 1))
        return {"outputs": outputs.unflatten(0, inputs.shape[:2])}

    with torch.no_grad():
        outputs = LOOP(said, episodes)["outputs"]
    return episodes._replace(query=episodes.query._replace(outputs=outputs))


@pytest.mark.parametrize("credit", ["reinforce", "ratio", "dice"])
def test_the_gradient_is_that_of_the_surrogate(credit) -> None:
    """Along the direction of the step, against central differences of the surrogate
    that is told; through two rounds."""
    network = toy_policy()
    trpo = MAMLTRPO(credit=credit, inner_lr=0.2, solver_steps=1, kl=KL)
    episodes = own_outputs(trpo, network, toy_meta_batch(network, rounds=2))
    meta = start(network)
    step = trpo.meta_gradient(network, meta, episodes, LOOP).gradients
    # With one iteration of conjugate gradients the step is along the gradient.
    norm = torch.sqrt(sum(s.square().sum() for s in step.values()))
    unit = {name: s / norm for name, s in step.items()}

    def value(move: dict) -> float:
        moved = Meta({k: p + move[k] for k, p in meta.params.items()})
        found = trpo.meta_gradient(network, moved, episodes, LOOP).metrics
        return float(found["surrogate"].mean())

    def slope(along: dict) -> float:
        h = 1e-5
        up, down = ({k: s * v for k, v in along.items()} for s in (h, -h))
        return (value(up) - value(down)) / (2 * h)

    # Steepest along it, and flat across it.
    torch.manual_seed(0)
    other = {k: torch.randn_like(v) for k, v in unit.items()}
    across = sum((other[k] * unit[k]).sum() for k in unit)
    other = {k: v - across * unit[k] for k, v in other.items()}
    assert slope(unit) > 1e-3
    assert abs(slope(other)) < 1e-6


def test_divergence_keeps_its_bound_on_every_iteration() -> None:
    network = toy_policy()
    meta = start(network)
    trpo = MAMLTRPO(curvature=0.25)
    for seed in range(8):
        episodes = toy_meta_batch(network, seed=seed)
        acted = own_outputs(trpo, network, episodes)
        step = trpo.meta_gradient(network, meta, acted, LOOP)
        assert 0 <= step.metrics["kl"].mean() <= 0.01
        assert step.metrics["line_search"].unique().numel() == 1
