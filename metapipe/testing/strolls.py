"""Toy trajectories: what a policy would have done where nothing it does leads on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..episode import Trajectories
from ..problem import Problem

GAUSSIAN = Problem("control", (2,), 1, actions="continuous")
"""One number is chosen after two were seen."""

CHOICE = Problem("control", (2,), 3, actions="discrete")
"""One of three is chosen."""

COUNT, LENGTH = 4, 5
"""Trajectories, and steps of the longest."""


def strolls(
    problem: Problem,
    lead: tuple[int, ...],
    say: Callable[[Trajectories], Tensor],
    *,
    seed: int = 0,
) -> Trajectories:
    """Trajectories (*lead, n, H, ...) at random observations, in double precision; some
    end early, and some have inner episodes. `lead` begins with the tasks, each of which
    rewards another action.

    `say` gives outputs, (*lead, n, H, o), for trajectories whose actions are not yet
    chosen: zeros.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (*lead, COUNT, LENGTH)

    def normal(*more: int) -> Tensor:
        return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

    ending = torch.randint(2, LENGTH + 1, shape[:-1], generator=generator)
    real = torch.arange(LENGTH) < ending[..., None]
    ends = (torch.rand(shape, generator=generator) < 0.3) & real
    inputs, noise = normal(2), normal(problem.outputs)
    continuous = problem.actions == "continuous"
    nothing = torch.zeros_like(noise) if continuous else torch.zeros(shape).long()
    unknown = torch.full(shape[:-1], torch.nan, dtype=torch.float64)
    empty = Trajectories(inputs, nothing, normal() * 0, real, ends, inputs, unknown)
    outputs = say(empty).detach()
    goals = torch.arange(lead[0]).reshape(-1, *[1] * (len(shape) - 1))
    if continuous:
        mean, log_std = outputs[..., : problem.policy_outputs].chunk(2, -1)
        actions = mean + log_std.exp() * noise
        rewards = -((actions.squeeze(-1) - goals + 1) ** 2)
    else:
        actions = (outputs[..., : problem.outputs] + noise).argmax(-1)
        rewards = (actions == goals % problem.outputs).double()
    return Trajectories(inputs, actions, rewards * real, real, ends, outputs, unknown)
