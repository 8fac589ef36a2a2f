"""A point that looks for a place in the plane, as in section 5.3 of Finn et al. 2017.

A task is a place, which is not seen: only rewards tell. A network that was not trained
has a return of about -82, normal actions -72, standing still -38, the best way -0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from metapipe import (
    Arena,
    Dataset,
    Episodes,
    Kind,
    Register,
    SourceFacts,
    Split,
    Task,
    hookimpl,
)
from metapipe.data import keys, random_returns, uniform
from metapipe_plugins.parts.worlds.batched import BatchedWorlds, Numbers, copied
from metapipe_plugins.parts.worlds.fingerprint import fingerprint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR = 0.01
"""A point that is nearer than this in both coordinates has arrived."""


class Navigation2D(Dataset):
    """Find a place in the plane that only rewards tell of."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Finn, Abbeel & Levine, ICML 2017, https://arxiv.org/abs/1703.03400, sec. 5.3"
    )
    departures: ClassVar[str] = (
        "rewards are minus the distance, as in the authors' code (the paper: its "
        "square); policies act in [-1, 1], times action_scale, as there"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "model.layers": [100, 100],
        "task.ways": 1,
        "task.shots": 20,
        "task.queries": 20,
        "training.tasks": 20,
        "training.iterations": 100,
        "training.validate_every": 25,
        "training.validation_episodes": 40,
        "training.log_every": 1,
        "evaluation.episodes": 40,
        "evaluation.shots": 40,
        "evaluation.queries": 40,
    }

    goals: PositiveFloat = 0.5
    """Places are uniform in the square from minus this to this, in both coordinates."""

    action_scale: PositiveFloat = 0.1
    """The longest way in a step, in each coordinate: that of the action 1."""

    steps: PositiveInt = 100
    """Steps of a trajectory at most; it ends where the point has arrived."""

    goal_visible: bool = False
    """Whether the place is seen, after the point's own: what an oracle learns from."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution and never share a place."""
        return Plane(self, split, self.steps)


@dataclass(frozen=True)
class Plane(Arena):
    """Places to look for."""

    settings: Navigation2D
    split: Split
    horizon: int

    @property
    def facts(self) -> SourceFacts:
        """Two coordinates in, and two out; the fingerprint is of the distribution."""
        shape = (4,) if self.settings.goal_visible else (2,)
        found = fingerprint("navigation2d", self.split, self.settings)
        return SourceFacts("control", shape, found, outputs=2, actions="continuous")

    def worlds(self, tasks: Sequence[Task], copies: int) -> Points:
        """Points at (0, 0)."""
        goals = copied(self.goals(tasks), copies)
        return Points(goals.float(), self.settings)

    def goals(self, tasks: Sequence[Task]) -> Numbers:
        """Each task's place, (T, 2)."""
        return self.settings.goals * (2 * uniform(keys(tasks), "goal", 2) - 1)

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """Of normal actions, and of the shortest way, which no policy can do better
        than."""
        return {
            "random": random_returns(self, tasks, tasks[0].queries),
            "oracle": self.best(self.goals(tasks)),
        }

    def best(self, goals: Numbers) -> list[float]:
        """Coordinates are steered each for itself, so the nearest that each can come is
        the best of both."""
        left, found = torch.from_numpy(goals).abs(), torch.zeros(len(goals)).double()
        for _ in range(self.horizon):
            left = (left - self.settings.action_scale).clamp(min=0)
            found -= left.norm(dim=-1)
        returns: list[float] = found.tolist()
        return returns

    def depict(self, figure: Figure, episodes: Episodes) -> None:
        """Paths from (0, 0), a panel a round, and the place as a cross."""
        (goal,) = self.goals(episodes.tasks)
        rounds = [*zip(*(t[0] for t in episodes.support[:4]), strict=True)]
        rounds.append(tuple(t[0] for t in episodes.query[:4]))
        row = figure.subplots(1, len(rounds), squeeze=False, sharex=True, sharey=True)
        for steps, (axes, played) in enumerate(zip(row[0], rounds, strict=True)):
            places, _, _, real = played
            for path, here in zip(places[..., :2], real, strict=True):
                axes.plot(*path[here].T.tolist(), linewidth=0.7, alpha=0.7)
            axes.plot(*goal, "x", color="black", markersize=9)
            axes.set_title(f"after {steps} steps", fontsize=8)
            axes.set_aspect("equal")


class Points(BatchedWorlds):
    """Points in the plane."""

    def __init__(self, goals: Tensor, settings: Navigation2D) -> None:
        super().__init__(len(goals))
        self.goals, self.settings = goals, settings
        self.places = torch.zeros_like(goals)

    def begin(self, where: Tensor) -> None:
        """Back to (0, 0)."""
        self.places = self.places.masked_fill(where[:, None], 0)

    def act(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Move; the reward is minus the distance from there."""
        scale = self.settings.action_scale
        self.places = self.places + (scale * actions).clamp(-scale, scale)
        apart = self.places - self.goals
        arrived = (apart.abs() < NEAR).all(-1)
        return -apart.norm(dim=-1), arrived, torch.zeros_like(arrived)

    def observe(self) -> Tensor:
        """Where the point is, and the place if that is visible."""
        if self.settings.goal_visible:
            return torch.cat([self.places, self.goals], -1)
        return self.places


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the plane."""
    register("navigation2d", Navigation2D)
