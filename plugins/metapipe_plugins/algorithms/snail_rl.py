"""SNAIL in worlds: a sequence model that reads what was seen, done and rewarded.

Mishra, Rohaninejad, Chen & Abbeel, "A Simple Neural Attentive Meta-Learner", ICLR 2018,
section 5.2. The stack of blocks is that of SNAIL.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, cast

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Meta,
    Model,
    Params,
    Problem,
    Register,
    hookimpl,
)
from metapipe_plugins.parts.networks.temporal import Snail
from metapipe_plugins.parts.policies.actor_critic import (
    ActorCritic,
    Heads,
    Inputs,
)


class SNAILRL(ActorCritic):
    """Read a trial so far as a sequence; what its steps became is what is learned."""

    paper: ClassVar[str] = (
        "Mishra, Rohaninejad, Chen & Abbeel, ICLR 2018, "
        "https://arxiv.org/abs/1707.03141"
    )
    equations: ClassVar[str] = (
        "section 3 (DenseBlock, TCBlock, AttentionBlock) and 5.2; PPO: Schulman et al. "
        "2017, eq. 9"
    )
    departures: ClassVar[str] = (
        "the outer step is PPO's (the paper: TRPO); the value is the same stack's; the "
        "stack is that of the paper's classifier, with fewer filters, and its "
        "convolutions span some steps and not the whole trial"
    )

    embedding: PositiveInt = 32
    """Length of the vector that a step becomes."""

    filters: PositiveInt = 16
    """Filters of each temporal convolution."""

    span: Annotated[int, Field(ge=2)] = 16
    """Steps that each of the two stacks of temporal convolutions spans; attention sees
    all."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model's features, the stack, and what it says."""
        return Network(model, problem, self)

    def begin(
        self, network: nn.Module, meta: Meta, adapted: Params, count: int
    ) -> Params:
        """Of no steps."""
        some, kept = next(iter(meta.params.values())), cast(Network, network).stack.kept
        return {"steps": some.new_zeros(count, 0, kept)}

    def remember(self, memory: Tensor, step: Tensor) -> Tensor:
        """All steps so far, and this."""
        return torch.cat([memory, step[:, None]], 1)


class Network(nn.Module):
    """Reads what is seen, and speaks."""

    def __init__(self, model: Model, problem: Problem, settings: SNAILRL) -> None:
        super().__init__()
        self.inputs = Inputs(model, problem)
        self.embed = nn.Linear(self.inputs.length, settings.embedding)
        self.stack = Snail(
            settings.embedding, None, settings.span, settings.filters, False
        )
        self.heads = Heads(self.stack.outside, problem)

    def forward(self, past: Tensor, *seen: Tensor) -> Tensor:
        """What was kept of steps so far (n, t, kept), and those that follow,
        (n, H, ...) -> what is said and what is kept of each that follows, (n, H,
        outputs + kept)."""
        steps = self.embed(self.inputs(*seen)).relu()
        read = self.stack.follow(past, steps)
        return torch.cat([self.heads(read), read[..., : self.stack.kept]], -1)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer SNAIL in worlds."""
    register("snail-rl", SNAILRL)
