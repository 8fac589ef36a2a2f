"""Worlds of gymnasium: any that is registered, and MuJoCo's walkers with directions and
velocities to learn.

Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
Networks", ICML 2017, section 5.3.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from metapipe import (
    Arena,
    Dataset,
    Kind,
    Register,
    SettingError,
    Split,
    Task,
    hookimpl,
)
from metapipe.data import keys, uniform
from metapipe_plugins.parts.data.intervals import Interval
from metapipe_plugins.parts.worlds.fingerprint import fingerprint
from metapipe_plugins.parts.worlds.packages import require

if TYPE_CHECKING:
    from metapipe_plugins.parts.worlds.gym_worlds import Aim, Env

RECIPE: dict[str, object] = {
    "run.model": "mlp",
    "model.layers": [100, 100],
    "task.ways": 1,
    "task.shots": 20,
    "task.queries": 20,
    "training.tasks": 20,
    "training.iterations": 100,
    "training.validate_every": 0,
    "training.log_every": 1,
    "training.checkpoint_every": 5,
    "evaluation.episodes": 40,
}


class Gymnasium(Dataset):
    """Any world that gymnasium makes, with settings that differ from task to task."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Towers et al., 2024, https://arxiv.org/abs/2407.17032 (Gymnasium)"
    )
    recommended: ClassVar[dict[str, object]] = RECIPE

    id: str = ""
    """The world's name, as gymnasium.make takes it: CartPole-v1. Of a module of yours:
    module:Name-v0."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """What else gymnasium.make is given, in all tasks alike: { name = value }."""

    vary: dict[str, Interval] = Field(default_factory=dict)
    """What differs: { name = [least, most] }, uniform between them."""

    steps: PositiveInt | None = None
    """Steps of a trajectory at most; as the world is registered if not given."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution. Raises UnsupportedError for a world
        that cannot be made, or whose spaces no policy fits; SettingError without id."""
        require("gymnasium", "gymnasium")
        if not self.id:
            raise SettingError(
                "dataset.id is not given: name a world of gymnasium's, as by -s "
                "dataset.id=Pendulum-v1"
            )
        from metapipe_plugins.parts.worlds import gym_worlds

        gym_worlds.quiet_physics()
        spec = gym_worlds.made(self.id, self.steps, self._of(self._middle())).spec
        steps = self.steps or (spec and spec.max_episode_steps)
        if not steps:
            raise SettingError(
                f"dataset.steps is not given, and {self.id} does not say when time is "
                "over: -s dataset.steps=200"
            )

        def make(aim: Aim) -> Env:
            return gym_worlds.made(self.id, steps, self._of(aim))

        print_ = fingerprint(type(self).__name__, split, self)
        ends = [
            {**self._middle(), name: end}
            for name, interval in self.vary.items()
            for end in interval
        ]
        return gym_worlds.GymArena(self.id, steps, print_, self._aims, make, ends)

    def _middle(self) -> Aim:
        return {name: (low + high) / 2 for name, (low, high) in self.vary.items()}

    def _of(self, aim: Aim) -> dict[str, Any]:
        return {**self.settings, **aim}

    def _aims(self, tasks: Sequence[Task]) -> list[Aim]:
        """Settings between their ends, hashed from the tasks' integers."""
        names, ends = list(self.vary), np.array([*self.vary.values()]).reshape(-1, 2)
        shares = uniform(keys(tasks), "aim", len(names))
        values = ends[:, 0] + shares * (ends[:, 1] - ends[:, 0])
        return [dict(zip(names, row, strict=True)) for row in values.tolist()]


class Walker(Dataset):
    """A body of MuJoCo's that is paid for what a task says."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Finn, Abbeel & Levine, ICML 2017, https://arxiv.org/abs/1703.03400, sec. 5.3"
    )
    departures: ClassVar[str] = (
        "bodies and the other rewards are those of gymnasium's newest version (the "
        "authors: rllab's)"
    )
    recommended: ClassVar[dict[str, object]] = RECIPE

    body: ClassVar[str]
    """gymnasium's name of it."""

    steps: PositiveInt = 200
    """Steps of a trajectory."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution. Raises UnsupportedError without
        MuJoCo."""
        require("mujoco", "gymnasium", "mujoco", "imageio")
        from metapipe_plugins.parts.worlds import gym_worlds

        gym_worlds.quiet_physics()

        def make(aim: Aim) -> Env:
            return gym_worlds.Forwards(gym_worlds.made(self.body, self.steps, {}), aim)

        print_ = fingerprint(type(self).__name__, split, self)
        return gym_worlds.GymArena(
            self.body, self.steps, print_, self.aims, make, movable=True
        )

    @abstractmethod
    def aims(self, tasks: Sequence[Task]) -> list[Aim]:
        """What each task pays for."""


class Direction(Walker):
    """Go forwards or backwards: two tasks, of which no split has one for itself."""

    def aims(self, tasks: Sequence[Task]) -> list[Aim]:
        """Either with equal chance."""
        forwards = uniform(keys(tasks), "direction", 1)[:, 0] < 0.5
        return [{"direction": 1.0 if ahead else -1.0} for ahead in forwards.tolist()]


class HalfCheetahDirection(Direction):
    """A half of a cheetah that is to run forwards, or backwards."""

    body: ClassVar[str] = "HalfCheetah-v5"


class AntDirection(Direction):
    """An ant that is to walk forwards, or backwards."""

    body: ClassVar[str] = "Ant-v5"


class HalfCheetahVelocity(Walker):
    """A half of a cheetah that is to run as fast as a task says, and no faster."""

    body: ClassVar[str] = "HalfCheetah-v5"

    velocity: Interval = (0.0, 2.0)
    """Least and greatest velocity, uniform between them."""

    def aims(self, tasks: Sequence[Task]) -> list[Aim]:
        """Hashed from the tasks' integers."""
        low, high = self.velocity
        shares = uniform(keys(tasks), "velocity", 1)[:, 0]
        return [{"velocity": v} for v in (low + (high - low) * shares).tolist()]


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer what gymnasium has."""
    register("gymnasium", Gymnasium)
    register("half-cheetah-direction", HalfCheetahDirection)
    register("half-cheetah-velocity", HalfCheetahVelocity)
    register("ant-direction", AntDirection)
