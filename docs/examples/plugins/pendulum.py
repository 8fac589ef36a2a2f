"""A data set of worlds: a pendulum to be swung up, where gravity differs."""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RescaleAction
from pydantic import PositiveInt

from metapipe import Arena, Dataset, Register, SourceFacts, Split, Task, hookimpl
from metapipe.data import keys, random_returns, uniform


class Pendulum(Dataset):
    """Swing up a pendulum on an unknown planet."""

    recommended = {"run.model": "mlp", "task.ways": 1}  # noqa: RUF012

    steps: PositiveInt = 100
    """Steps of a trajectory."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution and never share a planet."""
        return Planets(f"pendulum {split} {self.steps}", self.steps)


@dataclass
class Planets(Arena):
    """Pendulums, each on its planet."""

    name: str
    horizon: int

    @property
    def facts(self) -> SourceFacts:
        """Position and velocity in, a torque out."""
        return SourceFacts("control", (3,), self.name, outputs=1, actions="continuous")

    def worlds(self, tasks: Sequence[Task], copies: int) -> SyncVectorEnv:
        """Gravity is uniform from 5 to 15, a function of the task's integers."""
        gravities = 5 + 10 * uniform(keys(tasks), "gravity", 1)[:, 0]

        def pendulum(g: float) -> gymnasium.Env:
            world = gymnasium.make("Pendulum-v1", g=g)
            return RescaleAction(world, np.float32(-1), np.float32(1))

        makers = [lambda g=g: pendulum(g) for g in gravities for _ in range(copies)]
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """What chance brings, to compare returns with."""
        return {"random": random_returns(self, tasks, 2)}


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the pendulum."""
    register("pendulum", Pendulum)
