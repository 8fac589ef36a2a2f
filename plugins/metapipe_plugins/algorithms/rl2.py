"""RL^2: a recurrent network that learns a world while it acts in it.

Duan, Schulman, Chen, Bartlett, Sutskever & Abbeel, "RL^2: Fast Reinforcement Learning
via Slow Reinforcement Learning", 2016; Wang et al., "Learning to reinforcement learn",
2016, is the same idea.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import PositiveInt
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

    width: PositiveInt = 64
    """Numbers that are remembered: units of the GRU (the paper: 256)."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model's features, a GRU, and what it says."""
        return Network(model, problem, self.width)

    def begin(
        self, network: nn.Module, meta: Meta, adapted: Params, count: int
    ) -> Params:
        """Zeros."""
        some = next(iter(meta.params.values()))
        return {"hidden": some.new_zeros(count, self.width)}

    def remember(self, memory: Tensor, step: Tensor) -> Tensor:
        """The GRU's units alone."""
        return step


class Network(nn.Module):
    """Reads what is seen, remembers, and speaks."""

    def __init__(self, model: Model, problem: Problem, width: int) -> None:
        super().__init__()
        self.inputs = Inputs(model, problem)
        self.memory = nn.GRU(self.inputs.length, width, batch_first=True)
        self.heads = Heads(width, problem)

    def forward(self, hidden: Tensor, *seen: Tensor) -> Tensor:
        """(n, width) and sequences (n, H, ...) -> what is said and what is remembered
        after each step, (n, H, outputs + width)."""
        # cuDNN wants what is remembered in one piece
        remembered, _ = self.memory(self.inputs(*seen), hidden[None].contiguous())
        return torch.cat([self.heads(remembered), remembered], -1)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer RL^2."""
    register("rl2", RL2)
