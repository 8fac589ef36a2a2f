"""Acting in worlds: trajectories as a function of integers, and of who acts.

All T * n trajectories go step by step together. A world's chance follows from a seed
that is hashed from its task's integers, and the noise of actions is handed in: nothing
depends on what was done before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithm import Seen
from ..dataset import Arena, Worlds
from ..episode import Task, Trajectories
from ..errors import MetapipeError, TrainingError
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
    task's integers and the step, for a world that raises or whose numbers are not
    finite, and for observations of another shape than the facts say.
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
        self.count, self.step = len(tasks) * copies, -1

    def played(self, act: Act) -> Trajectories:
        """From the first step to the last."""
        worlds, seen = self._begin()
        alive = torch.ones(self.count, dtype=torch.bool)
        inner = torch.zeros(self.count, dtype=torch.int64)
        success = torch.full((self.count,), torch.nan)
        kept: list[tuple[Tensor, ...]] = []
        for step in range(self.arena.horizon):
            self.step = step
            actions, outputs = act(seen, step)
            told = self._told(worlds.step, self._as_theirs(actions))
            inputs, rewards, ended, time_over = map(self._tensor, told[:4])
            inputs, rewards = self._sound(alive, inputs, rewards)
            over = (ended + time_over) > 0
            ends = over & alive
            success = _successes(success, told[4], alive)
            kept.append((seen.inputs, actions, rewards, alive, ends, outputs))
            inner = inner + ends
            alive = alive & (inner < self.arena.episodes)
            if not alive.any():
                break
            if over.any() and step + 1 < self.arena.horizon:
                inputs = self._anew(worlds, over)
            begun = torch.ones_like(over)
            seen = Seen(inputs, actions, rewards, ends, begun)
        return self._stacked(kept, success)

    def _begin(self) -> tuple[Worlds, Seen]:
        key, purpose = keys(self.tasks), f"{self.name} worlds"
        seeds = integers(key, purpose, self.copies, below=SEEDS).reshape(-1).tolist()

        worlds: Worlds = self._told(self.arena.worlds, self.tasks, self.copies)
        first = self._told(worlds.reset, seed=seeds)[0]
        self.theirs = type(first)
        inputs = self._tensor(first)
        self._check_shape(inputs)
        facts = self.arena.facts
        nothing = torch.zeros(self.count)
        actions = (
            nothing.long()
            if facts.actions == "discrete"
            else torch.zeros(self.count, facts.outputs or 1)
        )
        self._sound(nothing == 0, inputs, nothing)
        return worlds, Seen(inputs, actions, nothing, nothing > 0, nothing > 0)

    def _anew(self, worlds: Worlds, over: Tensor) -> Tensor:
        """Start those anew that are over; all observations."""
        mask = over if issubclass(self.theirs, Tensor) else over.numpy()
        options = {"reset_mask": mask}
        return self._tensor(self._told(worlds.reset, options=options)[0])

    def _as_theirs(self, actions: Tensor) -> Any:
        return actions if issubclass(self.theirs, Tensor) else actions.numpy()

    def _tensor(self, values: Any) -> Tensor:
        """As float32; NumPy's, which a world may use again, in memory of its own."""
        if isinstance(values, Tensor):
            return values.float()
        return torch.tensor(np.asarray(values), dtype=torch.float32)

    def _told(self, question: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """What a world says. Raises TrainingError for whatever fails there."""
        try:
            return question(*given, **named)
        except MetapipeError:
            raise
        except Exception as error:  # anybody's code
            text = " ".join(str(error).split())
            raise TrainingError(
                f"{self._where(self.tasks)}: the world failed: {type(error).__name__}: "
                f"{text}"
            ) from error

    def _sound(
        self, alive: Tensor, inputs: Tensor, rewards: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Observations and rewards, which are 0 where a trajectory is over; where it
        goes on, what is not finite is refused."""
        rewards = rewards * alive
        if torch.isfinite(inputs.sum() + rewards.sum()):
            return inputs, rewards
        sound = torch.isfinite(inputs).flatten(1).all(1) & torch.isfinite(rewards)
        for place in (alive & ~sound).nonzero()[:, 0].tolist():
            what = "reward" if not torch.isfinite(rewards[place]) else "observation"
            raise TrainingError(
                f"{self._where([self.tasks[place // self.copies]])}: the {what} is not "
                "finite: mend the world, then go on with metapipe resume"
            )
        return inputs.nan_to_num(0.0, 0.0, 0.0), rewards.nan_to_num(0.0, 0.0, 0.0)

    def _check_shape(self, inputs: Tensor) -> None:
        wanted = (self.count, *self.arena.facts.shape)
        if inputs.shape != wanted:
            raise TrainingError(
                f"{self._where(self.tasks)}: observations are {tuple(inputs.shape)}, "
                f"and {wanted} is what the data set says: all tasks see alike"
            )

    def _where(self, tasks: Sequence[Task]) -> str:
        """The integers that lead there again."""
        first, last = tasks[0], tasks[-1]
        which = (
            f"episode {first.index}"
            if first == last
            else f"episodes {first.index} to {last.index}"
        )
        at = f"step {self.step + 1}" if self.step >= 0 else "the start"
        return (
            f"{first.dataset}/{first.split} {which}, seed {first.seed}, at {at} of "
            f"{self.name}"
        )

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


def _successes(known: Tensor, infos: Mapping[str, Any], alive: Tensor) -> Tensor:
    """Once successful, for good; NaN until a world says anything of it."""
    if "success" not in infos:
        return known
    said = infos["success"]
    here = torch.as_tensor(
        said if isinstance(said, Tensor) else np.asarray(said, np.float32)
    )
    return torch.where(alive & (here > 0), 1.0, known.nan_to_num(0.0))
