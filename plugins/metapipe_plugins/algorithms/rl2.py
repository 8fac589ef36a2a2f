"""RL^2: a recurrent network that learns a world while it acts in it.

Duan, Schulman, Chen, Bartlett, Sutskever & Abbeel, "RL^2: Fast Reinforcement Learning
via Slow Reinforcement Learning", 2016; Wang et al., "Learning to reinforcement learn",
2016, is the same idea.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Meta,
    Model,
    Params,
    Problem,
    Register,
    hookimpl,
)
from metapipe_plugins.parts.policies.actor_critic import (
    ActorCritic,
    Heads,
    Inputs,
)


class RL2(ActorCritic):
    """Remember what was seen, done and rewarded; the memory is what is learned."""

    paper: ClassVar[str] = "Duan et al., 2016, https://arxiv.org/abs/1611.02779"
    equations: ClassVar[str] = (
        "section 2.2 (the policy is told the action before, its reward and whether an "
        "episode ended, and remembers through a trial); PPO: Schulman et al. 2017, eq. "
        "9"
    )
    departures: ClassVar[str] = (
        "the outer step is PPO's (the paper: TRPO), and the value is the same "
        "network's (the paper: another of the same shape)"
    )

    recommended_with: ClassVar[dict[str, dict[str, object]]] = {
        **ActorCritic.recommended_with,
        "tabular-mdp": {
            "algorithm.width": 128,
            "algorithm.remembers": 100,
            "algorithm.hidden": 128,
            "algorithm.answered": True,
            "algorithm.decay": 0.5,
            "algorithm.entropy_weight": 0.25,
            "algorithm.entropy_halving": 700,
            "training.tasks": 128,
            "training.lr": 0.003,
            "training.schedule": "linear",
            "training.passes": 4,
        },
    }

    width: PositiveInt = 64
    """Numbers that are remembered: units of the GRU (the paper: 256)."""

    remembers: int | None = Field(None, ge=2)
    """Steps that units remember at first, each another number up to this (Tallec &
    Ollivier, 2018, eq. 16); if not given, they begin as torch's do, and what they hold
    is half gone after a step or two."""

    hidden: NonNegativeInt = 0
    """Units of a layer between what is remembered, with what is told now, and what is
    said, so that the one can be looked up by the other; 0, as in the paper, for none.
    """

    answered: bool = False
    """Whether it is told what was seen when the action before was chosen, beside that
    action and its reward; in the paper it has to remember that too."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model's features, a GRU, and what it says."""
        return Network(model, problem, self)

    def begin(
        self, network: nn.Module, meta: Meta, adapted: Params, count: int
    ) -> Params:
        """Zeros."""
        some = next(iter(meta.params.values()))
        length = sum(cast(Network, network).remembered)
        return {"hidden": some.new_zeros(count, length)}

    def remember(self, memory: Tensor, step: Tensor) -> Tensor:
        """What the last step left."""
        return step


class Network(nn.Module):
    """Reads what is seen, remembers, and speaks."""

    def __init__(self, model: Model, problem: Problem, settings: RL2) -> None:
        super().__init__()
        self.inputs = Inputs(model, problem)
        told, width, hidden = self.inputs.length, settings.width, settings.hidden
        seen = self.inputs.seen if settings.answered else 0
        self.remembered = [width, seen]
        self.memory = nn.GRU(told + seen, width, batch_first=True)
        if settings.remembers is not None:
            keep_for(settings.remembers, self.memory)
        self.hidden = nn.Linear(width + told, hidden) if hidden else None
        self.heads = Heads(hidden or width, problem)

    def forward(self, memory: Tensor, *seen: Tensor) -> Tensor:
        """(n, remembered) and sequences (n, H, ...) -> what is said and what is
        remembered after each step, (n, H, outputs + remembered)."""
        hidden, last = torch.split(memory, self.remembered, -1)
        told = self.inputs(*seen)
        now = told[..., : last.shape[-1]]
        answered = torch.cat([last[:, None], now[:, :-1]], 1)
        # cuDNN wants what is remembered in one piece
        steps, _ = self.memory(
            torch.cat([told, answered], -1), hidden[None].contiguous()
        )
        thought = steps
        if self.hidden is not None:
            thought = self.hidden(torch.cat([steps, told], -1)).relu()
        return torch.cat([self.heads(thought), steps, now], -1)


def keep_for(steps: int, memory: nn.GRU) -> None:
    """Let a unit forget a share of 1 / t of what it holds at a step, t uniform from 2
    to so many steps, as long as nothing else tells it when."""
    width = memory.hidden_size
    keep = slice(width, 2 * width)  # the second of torch's three gates
    with torch.no_grad():
        odds = torch.empty(width).uniform_(1, steps - 1)
        memory.get_parameter("bias_ih_l0")[keep] = odds.log()
        memory.get_parameter("bias_hh_l0")[keep] = 0


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer RL^2."""
    register("rl2", RL2)
