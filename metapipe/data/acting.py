"""Acting in worlds: trajectories as a function of integers, and of who acts.

All T * n trajectories go step by step together. A world's chance follows from a seed
that is hashed from its task's integers, and the noise of actions is handed in: nothing
depends on what was done before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithm import Seen
from ..dataset import Arena
from ..episode import Task, Trajectories
from ..errors import MetapipeError, TrainingError
from ..printable import one_line
from .asked_worlds import AskedWorlds, integers_of
from .sampling import integers, keys, normal, uniform

Act = Callable[[Seen, int], tuple[Tensor, Tensor]]
"""What T * n trajectories do, from what they see and the number of the step: actions,
and the outputs (T * n, o) that they were drawn from."""

SEEDS = 2**31
"""Seeds of worlds are below: what every generator of random numbers takes."""


def play(
    arena: Arena, tasks: Sequence[Task], copies: int, name: str, act: Act
) -> Trajectories:
    """So many trajectories in each of T tasks' worlds, (T, copies, H, ...), on the CPU.

    `name` tells rounds apart: others have other chance. Raises TrainingError, with the
    task's integers and the step, for a world that raises, whose numbers are not finite,
    or that says what has another shape than it should.
    """
    return _Game(arena, tasks, copies, name).played(act)


def action_noise(arena: Arena, tasks: Sequence[Task], copies: int, name: str) -> Tensor:
    """What random actions come from, a function of the tasks' integers: uniform (H, T *
    copies) for discrete ones, standard normal (H, T * copies, outputs) else."""
    facts, purpose = arena.facts, f"{name} noise"
    shape: tuple[int, ...] = (copies, arena.horizon)
    noise: NDArray[np.float64]
    if facts.actions == "discrete":
        noise = uniform(keys(tasks), purpose, *shape)
    else:
        noise = normal(keys(tasks), purpose, *shape, facts.outputs or 1)
    return torch.from_numpy(noise).float().flatten(0, 1).transpose(0, 1).contiguous()


def random_actions(arena: Arena, noise: Tensor) -> Tensor:
    """Actions (n) or (n, outputs) of that noise of one step: uniform where actions are
    discrete, standard normal else."""
    if arena.facts.actions == "discrete":
        return (noise * (arena.facts.outputs or 1)).long()
    return noise


def random_returns(arena: Arena, tasks: Sequence[Task], copies: int) -> list[float]:
    """What acting at random brings in each task's worlds, a mean over so many
    trajectories."""
    noise = action_noise(arena, tasks, copies, "random")

    def act(seen: Seen, step: int) -> tuple[Tensor, Tensor]:
        actions = random_actions(arena, noise[step])
        return actions, actions.new_zeros(len(actions), 1)

    return mean_returns(play(arena, tasks, copies, "random", act))


def known_returns(arena: Arena, tasks: Sequence[Task]) -> dict[str, list[float]]:
    """What the arena knows is to be had, a finite number a task for each name.

    Raises TrainingError where it fails to say so.
    """
    try:
        found = {
            name: [float(value) for value in values]
            for name, values in arena.references(tasks).items()
        }
    except MetapipeError:
        raise
    except Exception as error:  # anybody's code
        text = one_line(error)
        raise TrainingError(
            f"{integers_of(tasks)}: references failed: {type(error).__name__}: {text}"
        ) from error
    for name, values in found.items():
        if len(values) != len(tasks) or not all(map(math.isfinite, values)):
            raise TrainingError(
                f"{integers_of(tasks)}: references: '{name}' is {values[:3]}...: a "
                f"finite number for each of {len(tasks)} tasks is wanted"
            )
    return found


def mean_returns(drawn: Trajectories) -> list[float]:
    """The mean return of each task's trajectories, not discounted."""
    means: list[float] = drawn.rewards.sum(-1).mean(-1).tolist()
    return means


class _Game:
    """Trajectories while they are played."""

    def __init__(
        self, arena: Arena, tasks: Sequence[Task], copies: int, name: str
    ) -> None:
        self.arena, self.tasks, self.copies, self.name = arena, tasks, copies, name
        self.count = len(tasks) * copies
        self.worlds = AskedWorlds(arena, tasks, copies, name)

    def played(self, act: Act) -> Trajectories:
        """From the first step to the last."""
        seen = self._begin()
        alive = torch.ones(self.count, dtype=torch.bool)
        inner = torch.zeros(self.count, dtype=torch.int64)
        success = torch.full((self.count,), torch.nan)
        kept: list[tuple[Tensor, ...]] = []
        for step in range(self.arena.horizon):
            actions, outputs = act(seen, step)
            inputs, rewards, over, succeeded = self.worlds.step(actions, alive)
            ends = over & alive
            if succeeded is not None:  # once, for good; NaN until anything is told
                success = torch.where(alive & succeeded, 1.0, success.nan_to_num(0.0))
            kept.append((seen.inputs, actions, rewards, alive, ends, outputs))
            inner = inner + ends
            alive = alive & (inner < self.arena.episodes)
            if not alive.any():
                break
            if over.any() and step + 1 < self.arena.horizon:
                inputs = self.worlds.anew(over)
            begun = torch.ones_like(over)
            seen = Seen(inputs, actions, rewards, ends, begun)
        return self._stacked(kept, success)

    def _begin(self) -> Seen:
        key, purpose = keys(self.tasks), f"{self.name} worlds"
        seeds = integers(key, purpose, self.copies, below=SEEDS).reshape(-1).tolist()
        inputs, facts = self.worlds.begin(seeds), self.arena.facts
        nothing = torch.zeros(self.count)
        actions = (
            nothing.long()
            if facts.actions == "discrete"
            else torch.zeros(self.count, facts.outputs or 1)
        )
        return Seen(inputs, actions, nothing, nothing > 0, nothing > 0)

    def _stacked(
        self, kept: Sequence[tuple[Tensor, ...]], success: Tensor
    ) -> Trajectories:
        """(T, n, H, ...), with zeros after the end."""
        missing = self.arena.horizon - len(kept)
        alive = torch.stack([step[3] for step in kept], 1)

        def whole(steps: Sequence[Tensor]) -> Tensor:
            stacked = torch.stack(list(steps), 1)
            if not alive.all():
                after = ~alive.reshape(*alive.shape, *[1] * (stacked.ndim - 2))
                stacked = stacked.masked_fill(after, 0)
            nothing = stacked.new_zeros(self.count, missing, *stacked.shape[2:])
            stacked = torch.cat([stacked, nothing], 1) if missing else stacked
            return stacked.reshape(len(self.tasks), self.copies, *stacked.shape[1:])

        fields = [whole(steps) for steps in zip(*kept, strict=True)]
        success = success.reshape(len(self.tasks), self.copies)
        return Trajectories(*[*fields, success])
