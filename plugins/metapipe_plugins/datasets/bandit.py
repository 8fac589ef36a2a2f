"""Bandits: arms with rewards of their own, to be pulled so many times.

Duan et al., "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning", 2016,
section 3.1; Mishra et al., ICLR 2018, section 5.2.1. A trajectory is a trial: all pulls
of one bandit, and a policy that remembers has to find the better arms in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

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
from metapipe.data import keys, normal, uniform
from metapipe_plugins.parts.worlds.batched import BatchedWorlds, Numbers, copied
from metapipe_plugins.parts.worlds.fingerprint import fingerprint
from metapipe_plugins.parts.worlds.gittins import gittins_returns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT = 10
"""Pulls for which the optimum is computed: a second at most."""

INDEXED = 100
"""Pulls for which Gittins' indices are: less than that."""


class Bandit(Dataset):
    """Arms with rewards of their own, and so many pulls to find the best."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Duan et al., 2016, https://arxiv.org/abs/1611.02779, sec. 3.1; Mishra et al., "
        "ICLR 2018, https://arxiv.org/abs/1707.03141, sec. 5.2.1"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "task.ways": 1,
        "task.shots": 0,
        "task.queries": 1,
        "training.validation_episodes": 1000,
        "evaluation.episodes": 20000,
    }

    arms: PositiveInt = 5
    """Arms of a bandit: as many actions."""

    pulls: PositiveInt = 10
    """Pulls of a trial: steps of a trajectory."""

    rewards: Literal["bernoulli", "gaussian"] = "bernoulli"
    """1 with a probability that is uniform in [0, 1], else 0; or normal around a mean
    that is standard normal."""

    spread: PositiveFloat = 1.0
    """Standard deviation of Gaussian rewards around their mean."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution and never share a bandit."""
        return Bandits(self, split, self.pulls)


@dataclass(frozen=True)
class Bandits(Arena):
    """Bandits to play."""

    settings: Bandit
    split: Split
    horizon: int

    @property
    def facts(self) -> SourceFacts:
        """There is nothing to see; the fingerprint is of the distribution."""
        found = fingerprint("bandit", self.split, self.settings)
        arms = self.settings.arms
        return SourceFacts("control", (1,), found, outputs=arms, actions="discrete")

    def worlds(self, tasks: Sequence[Task], copies: int) -> Arms:
        """Bandits with each task's means."""
        return Arms(copied(self.means(tasks), copies), self.settings)

    def means(self, tasks: Sequence[Task]) -> Numbers:
        """The mean reward of each arm, (T, arms)."""
        draw = uniform if self.settings.rewards == "bernoulli" else normal
        return draw(keys(tasks), "means", self.settings.arms)

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """Of any arm, and of always the best; of arms that pay 1 or nothing also of
        Gittins' index, and, where that is quickly computed, the most that who does not
        know the means can expect."""
        means, pulls = self.means(tasks), self.settings.pulls
        found: dict[str, Sequence[float]] = {
            "random": (pulls * means.mean(-1)).tolist(),
            "oracle": (pulls * means.max(-1)).tolist(),
        }
        if self.settings.rewards == "gaussian":
            return found
        if pulls <= INDEXED:
            found["gittins"] = gittins_returns(self, tasks)
        if pulls <= EXACT:
            found["optimum"] = [optimum(self.settings.arms, pulls)] * len(tasks)
        return found

    def depict(self, figure: Figure, episodes: Episodes) -> None:
        """The arm of each pull, a row a trial; dark where it paid, beside the means."""
        (means,) = self.means(episodes.tasks)
        axes, bars = figure.subplots(1, 2, width_ratios=(4, 1), sharey=True)
        for arms, rewards in zip(
            episodes.query.targets[0], episodes.query.rewards[0], strict=True
        ):
            axes.plot(arms.tolist(), color="grey", linewidth=0.5)
            pulls, paid = range(len(arms)), (rewards - rewards.min()).tolist()
            axes.scatter(pulls, arms.tolist(), c=paid, cmap="Greys", edgecolors="grey")
        axes.set_xlabel("pull")
        axes.set_ylabel("arm")
        bars.barh(range(len(means)), means.tolist(), color="grey")
        bars.set_xlabel("mean reward")


class Arms(BatchedWorlds):
    """Bandits' arms."""

    def __init__(self, means: Tensor, settings: Bandit) -> None:
        super().__init__(len(means))
        self.means, self.settings = means, settings
        self.pulled = torch.zeros(self.count, dtype=torch.int64)

    def begin(self, where: Tensor) -> None:
        """All pulls are left."""
        self.pulled = self.pulled.masked_fill(where, 0)

    def act(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A reward of each arm that is pulled."""
        self.pulled = self.pulled + 1
        means = self.means.gather(1, actions[:, None]).squeeze(1)
        if self.settings.rewards == "bernoulli":
            rewards = (self.uniform("reward") < means).float()
        else:
            rewards = (means + self.settings.spread * self.normal("reward")).float()
        late = self.pulled >= self.settings.pulls
        return rewards, torch.zeros_like(late), late

    def observe(self) -> Tensor:
        """Nothing."""
        return torch.zeros(self.count, 1)


Counts = tuple[tuple[int, int], ...]
"""Successes and failures of the arms that were pulled, in order."""


@cache
def optimum(arms: int, pulls: int) -> float:
    """The expected sum of rewards of the best way to play Bernoulli arms with uniform
    priors: by dynamic programming over what was seen, in which arms are alike."""

    @cache
    def value(seen: Counts, left: int) -> float:
        if not left:
            return 0.0
        choices = {*seen, *([(0, 0)] if len(seen) < arms else [])}
        return max(pull(seen, arm, left) for arm in choices)

    def pull(seen: Counts, arm: tuple[int, int], left: int) -> float:
        others = list(seen)
        if arm in others:
            others.remove(arm)
        right, wrong = arm
        mean = (right + 1) / (right + wrong + 2)

        def then(now: tuple[int, int]) -> float:
            return value(tuple(sorted([*others, now])), left - 1)

        return mean * (1 + then((right + 1, wrong))) + (1 - mean) * then(
            (right, wrong + 1)
        )

    return value((), pulls)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer bandits."""
    register("bandit", Bandit)
