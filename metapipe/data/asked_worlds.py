"""Worlds that are asked: what they say as tensors of the shape that it should have.

Whatever else they say or do, which is anybody's code, is a line that tells where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..dataset import Arena, Worlds
from ..episode import Task
from ..errors import MetapipeError, TrainingError
from ..printable import one_line


class Answer(NamedTuple):
    """What T * n worlds say of a step."""

    inputs: Tensor
    """Observations, float32 (T * n, *shape), in memory of their own."""

    rewards: Tensor
    """float32 (T * n,)."""

    over: Tensor
    """bool (T * n,): whether it is over, or time is."""

    success: Tensor | None
    """bool (T * n,), if they tell."""


class AskedWorlds:
    """The worlds of T tasks, n copies of each, while they are played.

    Raises TrainingError, with the tasks' integers and the step, for a world that raises
    or that says something of another shape, and for numbers that are not finite.
    """

    def __init__(
        self, arena: Arena, tasks: Sequence[Task], copies: int, name: str
    ) -> None:
        self.arena, self.tasks, self.copies, self.name = arena, tasks, copies, name
        self.count, self.number = len(tasks) * copies, 0
        self.shape = arena.facts.shape
        self.worlds: Worlds
        self.theirs: type = np.ndarray

    def begin(self, seeds: list[int]) -> Tensor:
        """The first observations."""
        with self._asked():
            self.worlds = self.arena.worlds(self.tasks, self.copies)
            first, _ = self.worlds.reset(seed=seeds)
            self.theirs = type(first)
            inputs = self._observed(first)
        everywhere = torch.ones(self.count, dtype=torch.bool)
        return self._sound(everywhere, inputs, torch.zeros(self.count))[0]

    def step(self, actions: Tensor, alive: Tensor) -> Answer:
        """One step of all. Where `alive` is False, rewards are 0 and what is not finite
        is nobody's business."""
        self.number += 1
        with self._asked():
            told = self.worlds.step(self._as_theirs(actions))
            observed, rewards, ended, late, infos = told
            inputs = self._observed(observed)
            paid = self._numbers("rewards", rewards) * alive
            over = self._numbers("ends", ended) + self._numbers("ends", late) > 0
            success = None
            if "success" in infos:
                success = self._numbers("successes", infos["success"]) > 0
        return Answer(*self._sound(alive, inputs, paid), over, success)

    def anew(self, where: Tensor) -> Tensor:
        """Start those anew; all observations."""
        with self._asked():
            mask = {"reset_mask": self._as_theirs(where)}
            return self._observed(self.worlds.reset(options=mask)[0])

    def _as_theirs(self, values: Tensor) -> Any:
        return values if issubclass(self.theirs, Tensor) else values.numpy()

    def _observed(self, values: Any) -> Tensor:
        """A copy: a world may use its memory again."""
        return self._numbers("observations", values, *self.shape).clone()

    def _numbers(self, what: str, values: Any, *shape: int) -> Tensor:
        """As float32 (T * n, *shape)."""
        if not isinstance(values, Tensor):
            values = np.asarray(values, np.float32)
        found = torch.as_tensor(values, dtype=torch.float32)
        if found.shape != (self.count, *shape):
            raise TrainingError(
                f"{self._where(self.tasks)}: {what} are {tuple(found.shape)}, and "
                f"{(self.count, *shape)} is wanted, a row a world"
            )
        return found

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Whatever fails inside is a line."""
        try:
            yield
        except MetapipeError:
            raise
        except (Exception, SystemExit) as error:  # anybody's code
            text = one_line(error)
            raise TrainingError(
                f"{self._where(self.tasks)}: the world failed: {type(error).__name__}: "
                f"{text}; mend the world"
            ) from error

    def _sound(
        self, alive: Tensor, inputs: Tensor, rewards: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where a trajectory goes on, what is not finite is refused."""
        if torch.isfinite(inputs.sum() + rewards.sum()):
            return inputs, rewards
        sound = torch.isfinite(inputs).flatten(1).all(1) & torch.isfinite(rewards)
        for place in (alive & ~sound).nonzero()[:, 0].tolist():
            what = "reward" if not torch.isfinite(rewards[place]) else "observation"
            raise TrainingError(
                f"{self._where([self.tasks[place // self.copies]])}: the {what} is not "
                "finite: mend the world"
            )
        return inputs.nan_to_num(0.0, 0.0, 0.0), rewards.nan_to_num(0.0, 0.0, 0.0)

    def _where(self, tasks: Sequence[Task]) -> str:
        """The integers that lead there again."""
        at = f"step {self.number}" if self.number else "the start"
        return f"{integers_of(tasks)}, at {at} of {self.name}"


def integers_of(tasks: Sequence[Task]) -> str:
    """Those of tasks that are played together, in words."""
    first, last = tasks[0], tasks[-1]
    which = f"episode {first.index}"
    if first != last:
        which = f"episodes {first.index} to {last.index}"
    return f"{first.dataset}/{first.split} {which}, seed {first.seed}"
