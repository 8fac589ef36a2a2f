"""Random Markov decision processes with few states, to be learned within a trial.

Duan et al., "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning", 2016,
section 3.2; Mishra et al., ICLR 2018, section 5.2.2. A trajectory is a trial: several
inner episodes in one process, through which a policy may remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from metapipe import (
    Arena,
    Dataset,
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


class TabularMDP(Dataset):
    """Random decision processes, with several episodes to learn each."""

    kind: ClassVar[Kind | None] = "control"
    paper: ClassVar[str] = (
        "Duan et al., 2016, https://arxiv.org/abs/1611.02779, sec. 3.2; Mishra et al., "
        "ICLR 2018, https://arxiv.org/abs/1707.03141, sec. 5.2.2"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "task.ways": 1,
        "task.shots": 0,
        "task.queries": 1,
        "training.validation_episodes": 500,
        "evaluation.episodes": 1000,
    }

    states: PositiveInt = 10
    """States of a process; every inner episode begins in the first."""

    actions: PositiveInt = 5
    """Actions in each state."""

    steps: PositiveInt = 10
    """Steps of an inner episode."""

    episodes: PositiveInt = 10
    """Inner episodes of a trajectory."""

    def open(self, split: Split) -> Arena:
        """The splits draw from one distribution and never share a process."""
        return Processes(self, split, self.steps * self.episodes, self.episodes)


@dataclass(frozen=True)
class Processes(Arena):
    """Processes to learn."""

    settings: TabularMDP
    split: Split
    horizon: int
    episodes: int

    @property
    def facts(self) -> SourceFacts:
        """Which state it is, as a one among zeros; the fingerprint is of the
        distribution."""
        found = fingerprint("tabular-mdp", self.split, self.settings)
        settings = self.settings
        return SourceFacts(
            "control",
            (settings.states,),
            found,
            outputs=settings.actions,
            actions="discrete",
        )

    def worlds(self, tasks: Sequence[Task], copies: int) -> States:
        """Processes in their first state."""
        rewards, moves = self.tables(tasks)
        return States(copied(rewards, copies), copied(moves, copies), self.settings)

    def tables(self, tasks: Sequence[Task]) -> tuple[Numbers, Numbers]:
        """Of each process the mean rewards (T, states, actions), normal around 1; and
        the probabilities of the next state (T, states, actions, states), uniform among
        all distributions."""
        key, settings = keys(tasks), self.settings
        shape = (settings.states, settings.actions)
        rewards = 1 + normal(key, "rewards", *shape)
        shares = -np.log1p(-uniform(key, "moves", *shape, settings.states))
        return rewards, shares / shares.sum(-1, keepdims=True)

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """Of any action, and of the best for who knows the process: exact, by backward
        induction."""
        tables = self.tables(tasks)
        return {
            "random": (self.episodes * self.value(*tables, greedy=False)).tolist(),
            "oracle": (self.episodes * self.value(*tables, greedy=True)).tolist(),
        }

    def value(self, rewards: Numbers, moves: Numbers, *, greedy: bool) -> Numbers:
        """The expected return of an inner episode, (T,): of the best actions, or of any
        with equal chance."""
        value = np.zeros(rewards.shape[:2])
        for _ in range(self.settings.steps):
            of_actions = rewards + np.einsum("tsan,tn->tsa", moves, value)
            value = of_actions.max(-1) if greedy else of_actions.mean(-1)
        return value[:, 0]


class States(BatchedWorlds):
    """Where each process is."""

    def __init__(self, rewards: Tensor, moves: Tensor, settings: TabularMDP) -> None:
        super().__init__(len(rewards))
        self.rewards, self.settings = rewards, settings
        self.bounds = moves.cumsum(-1)[..., :-1]
        self.state = torch.zeros(self.count, dtype=torch.int64)
        self.steps = torch.zeros(self.count, dtype=torch.int64)

    def begin(self, where: Tensor) -> None:
        """In the first state."""
        self.state = self.state.masked_fill(where, 0)
        self.steps = self.steps.masked_fill(where, 0)

    def act(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A reward around its mean, and the next state."""
        at = (torch.arange(self.count), self.state, actions)
        rewards = (self.rewards[at] + self.normal("reward")).float()
        self.state = (self.uniform("move")[:, None] >= self.bounds[at]).sum(-1)
        self.steps = self.steps + 1
        late = self.steps >= self.settings.steps
        return rewards, torch.zeros_like(late), late

    def observe(self) -> Tensor:
        """A one at the state."""
        return torch.eye(self.settings.states)[self.state]


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer processes."""
    register("tabular-mdp", TabularMDP)
