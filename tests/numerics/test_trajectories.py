"""Trajectories stand where samples stand: a task map carries any named tuple.

A Gaussian bandit with reward -(a - g)^2 and the policy N(theta, 1), in closed form:
J(theta) = -(theta - g)^2 - 1, so J' = -2 (theta - g). One step of MAML ascends J from
theta by alpha; d/dtheta J(theta') = -2 (1 - 2 alpha)^2 (theta - g).
"""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from metapipe import Episodes, Task
from metapipe.numerics import LocalTaskMap, gradient

ALPHA = 0.1


class Trajectories(NamedTuple):
    """Actions of n pulls with their rewards, and those of a policy without gradient."""

    actions: Tensor
    rewards: Tensor
    means: Tensor


MAPS = [
    LocalTaskMap("loop"),
    LocalTaskMap("vmap"),
    LocalTaskMap("chunks", 2),
    LocalTaskMap("threads", 2),
]


def surrogate(theta: Tensor, drawn: Trajectories) -> Tensor:
    """Minus the likelihood ratio's estimate of J: exact for antithetic pulls."""
    ratio = torch.exp(
        -((drawn.actions - theta) ** 2) / 2 + (drawn.actions - drawn.means) ** 2 / 2
    )
    return -(ratio * drawn.rewards).mean()


def exact_pulls(theta: float, goal: float, count: int = 41) -> Trajectories:
    """Pulls and weights of Gauss-Hermite quadrature: means over them are integrals."""
    points, weights = torch.from_numpy(_hermite(count)).unbind()
    actions = theta + points
    rewards = -((actions - goal) ** 2) * weights * count
    return Trajectories(actions, rewards, torch.full_like(actions, theta))


def _hermite(count: int):
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return np.stack([points, weights / weights.sum()])


@pytest.mark.parametrize("task_map", MAPS, ids=str)
def test_the_meta_gradient_of_a_bandit_is_that_of_the_closed_form(task_map) -> None:
    theta, goals = 0.7, (-0.3, 0.2, 1.1)
    adapted = [theta - 2 * ALPHA * (theta - goal) for goal in goals]
    support = [exact_pulls(theta, goal) for goal in goals]
    query = [exact_pulls(mine, goal) for mine, goal in zip(adapted, goals, strict=True)]

    def stacked(sets: list[Trajectories]) -> Trajectories:
        return Trajectories(*(torch.stack(parts) for parts in zip(*sets, strict=True)))

    tasks = tuple(Task("bandit", "train", 0, n, 1, 1, 1) for n in range(3))
    episodes = Episodes(tasks, stacked(support), stacked(query))

    def loss(params, support, query):
        assert isinstance(support, Trajectories)

        def inner(found):
            return surrogate(found["theta"], support), {}

        slope, _ = gradient(inner, params, second_order=True)
        moved = params["theta"] - ALPHA * slope["theta"]
        value = surrogate(moved, query)
        return value, {"loss": value.detach()}

    start = {"theta": torch.tensor(theta, dtype=torch.float64)}
    found, metrics = task_map.gradient(loss, start, episodes)
    wanted = [2 * (1 - 2 * ALPHA) ** 2 * (theta - goal) for goal in goals]
    assert found["theta"].item() == pytest.approx(sum(wanted) / 3, abs=1e-8)
    returns = [
        -((mine - goal) ** 2) - 1 for mine, goal in zip(adapted, goals, strict=True)
    ]
    assert (-metrics["loss"]).tolist() == pytest.approx(returns, abs=1e-8)
