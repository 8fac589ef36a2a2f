"""Robot arms of Meta-World as worlds of gymnasium; imported where it is installed."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

import gymnasium
import metaworld
from gymnasium.wrappers import TimeLimit

from metapipe import SettingError
from metapipe_plugins.parts.worlds.gym_worlds import Aim, Env

SUITES = {"ml10": metaworld.ML10, "ml45": metaworld.ML45}


@cache
def suite(benchmark: str, family: str, seed: int) -> Any:
    """Meta-World's benchmark with its goals: seconds for ml1, a minute for ml45.

    Raises SettingError for a family that there is none of.
    """
    if benchmark in SUITES:
        return SUITES[benchmark](seed=seed)
    known = [*metaworld.ALL_V3_ENVIRONMENTS]
    if family not in known:
        near = get_close_matches(family, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there is {known[0]}"
        raise SettingError(
            f"dataset.family = '{family}': Meta-World has no such task; {hint}"
        )
    return metaworld.ML1(family, seed=seed)


class Arm(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The arm of a task: its family's world with its goal; `aim` says which."""

    def __init__(self, classes: dict[str, Any], tasks: list[Any], aim: Aim) -> None:
        self.classes, self.tasks = classes, tasks
        self.made: dict[str, Any] = {}
        super().__init__(self._of(aim))
        self.said = aim

    @property
    def aim(self) -> Aim:
        """The number of its task."""
        return self.said

    @aim.setter
    def aim(self, aim: Aim) -> None:
        self.said, self.env = aim, self._of(aim)

    def _of(self, aim: Aim) -> Env:
        task = self.tasks[int(aim["number"])]
        if task.env_name not in self.made:  # it takes longer than a trajectory
            self.made[task.env_name] = self.classes[task.env_name]()
        env: Env = self.made[task.env_name]
        env.unwrapped.set_task(task)  # type: ignore[attr-defined]  # Meta-World's own
        return env


def arm(classes: dict[str, Any], tasks: list[Any], aim: Aim, steps: int) -> Env:
    """An arm that acts for so many steps."""
    return TimeLimit(Arm(classes, tasks, aim), steps)
