"""Meta-World: a robot's arm that is to do other things with other goals.

Yu et al., "Meta-World: A Benchmark and Evaluation for Multi-Task and Meta Reinforcement
Learning", CoRL 2019. Worlds, rewards and splits are those of its package; a trajectory
has succeeded if the world said so at any step, and that is the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from metapipe import Arena, Dataset, Kind, Register, Split, Task, hookimpl
from metapipe.data import keys, uniform
from metapipe_plugins.parts.worlds.fingerprint import fingerprint
from metapipe_plugins.parts.worlds.packages import require

if TYPE_CHECKING:
    from metapipe_plugins.parts.worlds.gym_worlds import Aim, Env

EACH = 5
"""Of so many training goals the last is validation's."""


class MetaWorld(Dataset):
    """A robot's arm, with other goals (ml1) or other things to do (ml10, ml45)."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Yu et al., CoRL 2019, https://arxiv.org/abs/1910.10897; McLean et al., 2025, "
        "https://arxiv.org/abs/2505.11289 (version 3)"
    )
    departures: ClassVar[str] = (
        "every fifth training goal is for validation, of which there is none"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "model.layers": [128, 128],
        "model.activation": "tanh",
        "task.ways": 1,
        "task.shots": 10,
        "task.queries": 10,
        "training.tasks": 20,
        "training.validate_every": 0,
        "training.log_every": 1,
        "training.checkpoint_every": 5,
        "evaluation.queries": 3,
        "evaluation.episodes": 50,
    }

    benchmark: Literal["ml1", "ml10", "ml45"] = "ml1"
    """ml1: other goals of one thing to do; ml10 and ml45: 10 and 45 things to learn
    from, and 5 others to be judged by."""

    family: str = "reach-v3"
    """Of ml1: what to do."""

    goals: NonNegativeInt = 0
    """What goals are drawn from: Meta-World's seed. There are 50 of each thing to do in
    training, and 50 in the test."""

    steps: Annotated[int, Field(ge=1, le=500)] = 500
    """Steps of a trajectory."""

    def open(self, split: Split) -> Arena:
        """Meta-World's own test tasks, and its training tasks but for those of
        validation. Raises UnsupportedError without the package, SettingError for a
        family that it does not have."""
        require("metaworld", "metaworld")
        from metapipe_plugins.parts.worlds import gym_worlds
        from metapipe_plugins.parts.worlds.robot_arms import arm, suite

        gym_worlds.quiet_physics()
        found = suite(self.benchmark, self.family, self.goals)
        if split == "test":
            classes, tasks = found.test_classes, list(found.test_tasks)
        else:
            classes = found.train_classes
            held_out = split == "val"
            tasks = [
                task
                for number, task in enumerate(found.train_tasks)
                if (number % EACH == EACH - 1) == held_out
            ]

        def make(aim: Aim) -> Env:
            return arm(classes, tasks, aim, self.steps)

        def aims(drawn: Sequence[Task]) -> list[Aim]:
            return numbers(drawn, tasks)

        print_ = fingerprint("metaworld", split, self)
        return gym_worlds.GymArena(
            self.benchmark, self.steps, print_, aims, make, movable=True
        )


def numbers(drawn: Sequence[Task], tasks: Sequence[Any]) -> list[Aim]:
    """Which of the tasks each is, with equal chance."""
    shares = uniform(keys(drawn), "number", 1)[:, 0]
    return [{"number": float(int(share * len(tasks)))} for share in shares]


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer Meta-World."""
    register("metaworld", MetaWorld)
