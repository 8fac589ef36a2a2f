"""Trajectories to learn from without a world: what a policy would have done."""

import torch
from torch import Tensor, nn

from metapipe import Episodes, Meta, Problem, Task, Trajectories
from metapipe.numerics import policy
from metapipe.testing import TinyModel

GAUSSIAN = Problem("control", (2,), 1, actions="continuous")
CHOICE = Problem("control", (2,), 3, actions="discrete")


def toy_policy(problem: Problem = GAUSSIAN, width: int = 3) -> nn.Module:
    """A tiny policy, in double precision."""
    torch.manual_seed(3)
    return policy(TinyModel(width=width), problem, "batch").double()


def drawn(
    network: nn.Module,
    lead: tuple[int, ...],
    *,
    seed: int,
    problem: Problem = GAUSSIAN,
    trajectories: int = 4,
    horizon: int = 5,
) -> Trajectories:
    """Trajectories (*lead, n, H) of the network's policy at random observations; some
    end early. Rewards favour actions near another place in each task."""
    generator = torch.Generator().manual_seed(seed)
    shape = (*lead, trajectories, horizon)

    def noise(*more: int) -> Tensor:
        return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

    inputs = noise(2)
    with torch.no_grad():
        outputs = network(inputs.flatten(0, -2)).unflatten(0, shape)
    if problem.actions == "continuous":
        mean, log_std = outputs.chunk(2, -1)
        actions = mean + log_std.exp() * noise(problem.outputs)
        near = -(
            (
                actions.squeeze(-1)
                - torch.linspace(-1, 1, lead[0])[:, *[None] * len(shape[1:])]
            )
            ** 2
        )
    else:
        actions = (outputs + noise(problem.outputs)).argmax(-1)
        near = (actions == 1).double()
    ending = torch.randint(2, horizon + 1, shape[:-1], generator=generator)
    real = torch.arange(horizon) < ending[..., None]
    return Trajectories(
        inputs,
        actions,
        near * real,
        real,
        torch.zeros_like(real),
        outputs,
        torch.full(shape[:-1], torch.nan),
    )


def toy_meta_batch(
    network: nn.Module,
    *,
    tasks: int = 3,
    rounds: int = 1,
    seed: int = 0,
    problem: Problem = GAUSSIAN,
) -> Episodes:
    """A support set and a query set for each of some tasks."""
    recipes = tuple(Task("toy", "train", seed, i, 1, 4, 4) for i in range(tasks))
    return Episodes(
        recipes,
        drawn(network, (tasks, rounds), seed=2 * seed, problem=problem),
        drawn(network, (tasks,), seed=2 * seed + 1, problem=problem),
    )


def start(network: nn.Module) -> Meta:
    """The network's own parameters."""
    return Meta.of(network)
