"""Gittins' index of an arm that pays 1 or nothing, where so many pulls are left.

Gittins, "Bandit Processes and Dynamic Allocation Indices", JRSS B 1979, with a finite
horizon: the sure pay a pull for which one would be as glad to leave the arm for good.
Pulling the arm of the largest index is near the best play of several, and is what Duan
et al. 2016 compare RL^2 with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from metapipe import Arena, Seen, Task
from metapipe.data import mean_returns, play
from metapipe_plugins.parts.worlds.batched import Numbers

LEVELS = 128
"""Sure pays that are tried, from 0 to 1; indices between them are interpolated."""


def gittins_returns(arena: Arena, tasks: Sequence[Task]) -> list[float]:
    """What pulling the arm of the largest index brings in a trial of each task."""
    rows, arms = np.arange(len(tasks)), arena.facts.outputs or 1
    pulls, right = (np.zeros((len(tasks), arms), np.int64) for _ in range(2))
    table = indices(arena.horizon)

    def act(seen: Seen, step: int) -> tuple[Tensor, Tensor]:
        if step:
            before = seen.actions.numpy()
            pulls[rows, before] += 1
            right[rows, before] += seen.rewards.long().numpy()
        actions = table[arena.horizon - step][right, pulls - right].argmax(-1)
        return torch.from_numpy(actions), torch.zeros(len(tasks), 1)

    return mean_returns(play(arena, tasks, 1, "gittins", act))


@cache
def indices(pulls: int) -> Numbers:
    """Of uniform priors: at [left, right, wrong] the index of an arm that was right and
    wrong so often, with so many pulls left; rows that cannot be reached are 0."""
    levels = np.linspace(0, 1, LEVELS + 1)
    found = np.zeros((pulls + 1, pulls, pulls))
    right, wrong = np.mgrid[:pulls, :pulls]
    mean = ((right + 1) / (right + wrong + 2))[..., None]
    worth = np.zeros((pulls + 1, pulls + 1, len(levels)))
    for left in range(1, pulls + 1):
        size = pulls - left + 1  # pulls that were made are fewer
        share = mean[:size, :size]
        lucky, unlucky = worth[1 : size + 1, :size], worth[:size, 1 : size + 1]
        pulled = share * (1 + lucky) + (1 - share) * unlucky
        sure = left * levels
        found[left, :size, :size] = _crossing(pulled - sure, levels)
        worth = np.maximum(pulled, sure)
    return found


def _crossing(gain: Numbers, levels: Numbers) -> Numbers:
    """The level at which a gain (..., levels) that falls with it is 0."""
    last = (gain > 0).sum(-1) - 1
    before, after = (
        np.take_along_axis(gain, at[..., None], -1)[..., 0] for at in (last, last + 1)
    )
    step: float = levels[1]
    crossing: Numbers = levels[last] + step * before / (before - after)
    return crossing
