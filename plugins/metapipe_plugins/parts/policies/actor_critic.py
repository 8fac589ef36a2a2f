"""Policies that remember, trained by proximal policy optimisation (PPO).

Schulman, Wolski, Dhariwal, Radford & Klimov, "Proximal Policy Optimization Algorithms",
2017, eq. 7 and 9. What is learned of a task is in the memory: nothing is adapted.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Drawn,
    Episodes,
    Kind,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Recurrent,
    Seen,
    Step,
    TaskMap,
    Trajectories,
)
from metapipe.numerics import (
    advantages,
    apply,
    clipped_surrogate,
    discounted,
    divergence,
    entropy,
    gradient,
    mean_of,
    return_figures,
    rewards_to_go,
    standardised,
)
from metapipe_plugins.parts.heads.features import feature_length, vector_features

ENTROPY = "entropy_weight"
"""What the state calls the weight that the entropy has now."""


class ActorCritic(Recurrent):
    """A policy that remembers, and a value that says what it expects."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"control"})
    needs_support: ClassVar[bool] = False
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "identity",
        "task.shots": 0,
        "training.tasks": 512,
        "training.passes": 5,
        "training.clip": 1.0,
    }
    recommended_with: ClassVar[dict[str, dict[str, object]]] = {
        "bandit": {
            "algorithm.discount": 1.0,
            "algorithm.decay": 0.9,
            "algorithm.entropy_weight": 0.05,
            "algorithm.entropy_halving": 700,
            "training.lr": 0.003,
            "training.schedule": "linear",
            "training.passes": 4,
        },
        "navigation2d": {"evaluation.shots": 0},
    }

    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """What a reward is worth one step later (gamma)."""

    decay: Annotated[float, Field(ge=0, le=1)] = 0.3
    """How far advantages look beyond the value (lambda): 1 for all rewards to come, 0
    for the next and what is expected then."""

    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """How far the ratio of probabilities of an action may go from 1 before more of it
    is worth nothing (epsilon)."""

    value_weight: NonNegativeFloat = 0.5
    """Weight of the value's squared error."""

    entropy_weight: NonNegativeFloat = 0.01
    """Weight of the policy's entropy, in nats, by which it goes on trying; at first, if
    it halves."""

    entropy_halving: PositiveInt | None = None
    """Steps of the outer optimiser in which that weight halves, of which there are
    `training.passes` in an iteration; it stays as it is if not given."""

    statistics: Literal["batch"] = "batch"
    """A policy has no statistics to keep."""

    def init(self, network: nn.Module) -> Meta:
        """The network's own, and the weight of the entropy."""
        meta = super().init(network)
        some = next(iter(meta.params.values()))
        weight = some.new_tensor(self.entropy_weight)
        return replace(meta, state={**meta.state, ENTROPY: weight})

    def rounds(self, *, training: bool) -> int:
        """None: it learns while it acts."""
        return 0

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """Nothing."""
        return {}

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """Nothing."""
        return {}

    @abstractmethod
    def remember(self, memory: Tensor, step: Tensor) -> Tensor:
        """Memory (n, ..., r) after a step of which (n, r) is remembered."""

    def act(
        self,
        network: nn.Module,
        meta: Meta,
        adapted: Params,
        memory: Params,
        seen: Seen,
    ) -> tuple[Tensor, Params]:
        """What is said of the next action, and what is remembered then."""
        said, step = self._read(network, meta, memory, one_step(seen))
        ((name, before),) = memory.items()
        return said[:, 0], {name: self.remember(before, step[:, 0])}

    def retrace(
        self, network: nn.Module, meta: Meta, adapted: Params, drawn: Trajectories
    ) -> Tensor:
        """What is said at each step of whole trajectories."""
        memory = self.begin(network, meta, adapted, len(drawn.rewards))
        return self._read(network, meta, memory, shifted(drawn))[0]

    def _read(
        self, network: nn.Module, meta: Meta, memory: Params, seen: Seen
    ) -> tuple[Tensor, Tensor]:
        """Of sequences (n, H, ...), what is said and what is remembered at each step,
        which the network gives side by side: (n, H, outputs) and (n, H, r)."""
        (before,) = memory.values()
        found = apply(network, meta.params, before, *seen)
        length = before.shape[-1]
        return found[..., :-length], found[..., -length:]

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the clipped surrogate, the value's error and the entropy, of all tasks in
        one call: none has parameters of its own."""
        drawn = Trajectories(*(tensor.flatten(0, 1) for tensor in episodes.query))

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            outputs = self.retrace(network, Meta(params, meta.state), {}, drawn)
            return self._loss(outputs, drawn, meta.state[ENTROPY])

        gradients, found = gradient(loss, meta.params)
        count = len(episodes.tasks)
        figures = {name: figure.expand(count) for name, figure in found.items()}
        told = {**return_figures(episodes), **figures}
        return Step(gradients, told, self._later(meta.state))

    def _later(self, state: Params) -> Params:
        """With the entropy's weight of the next step."""
        if self.entropy_halving is None:
            return state
        share = 0.5 ** (1 / self.entropy_halving)
        return {**state, ENTROPY: state[ENTROPY] * share}

    def _loss(
        self, outputs: Tensor, drawn: Trajectories, entropy_weight: Tensor
    ) -> tuple[Tensor, Metrics]:
        said, value = outputs[..., :-1], outputs[..., -1]
        acted = drawn._replace(outputs=drawn.outputs[..., :-1])
        worths, aim = self._credit(drawn)
        gain = clipped_surrogate(said, acted, worths, self.clip)
        error = mean_of((value - aim).square(), drawn.real)
        uncertain = mean_of(entropy(said, drawn.targets), drawn.real)
        apart = mean_of(divergence(acted.outputs, said, drawn.targets), drawn.real)
        total = self.value_weight * error - gain - entropy_weight * uncertain
        told = {
            "surrogate": total,
            "kl": apart,
            "entropy": uncertain,
            "value_error": error,
            ENTROPY: entropy_weight,
        }
        return total, {name: figure.detach() for name, figure in told.items()}

    def _credit(self, drawn: Trajectories) -> tuple[Tensor, Tensor]:
        """What each action was worth, and what the value should have said.

        The value is a mean reward for each step to come, so that its scale is that of
        rewards, whatever the horizon.
        """
        ahead = discounted(drawn.real.to(drawn.rewards.dtype), self.discount)
        expected = drawn.outputs[..., -1] * ahead
        gained = advantages(drawn, expected, self.discount, self.decay)
        aim = rewards_to_go(drawn, self.discount) / ahead.clamp(min=1)
        return standardised(gained, drawn.real), aim


class Inputs(nn.Module):
    """What a policy that remembers is told, as vectors: the model's features of the
    observation, the action before as ones and zeros, its reward, and whether an inner
    episode ended, or there was one at all."""

    def __init__(self, model: Model, problem: Problem) -> None:
        super().__init__()
        self.features = vector_features(model, problem, "batch")
        self.actions = problem.outputs
        self.seen = feature_length(self.features, problem.shape)
        self.length = self.seen + problem.outputs + 3

    def forward(
        self,
        inputs: Tensor,
        actions: Tensor,
        rewards: Tensor,
        ended: Tensor,
        begun: Tensor,
    ) -> Tensor:
        """(n, H, ...) each -> (n, H, length); features are the first `seen` of it."""
        seen = self.features(inputs.flatten(0, 1)).unflatten(0, rewards.shape)
        if not actions.is_floating_point():
            actions = F.one_hot(actions, self.actions)
        before = [actions * begun[..., None], rewards[..., None]]
        flags = torch.stack([ended, begun], -1)
        return torch.cat([part.to(rewards) for part in (seen, *before, flags)], -1)


class Heads(nn.Module):
    """What a policy says, from what it remembers: of actions, and the value."""

    def __init__(self, inside: int, problem: Problem) -> None:
        super().__init__()
        self.policy = nn.Linear(inside, problem.outputs)
        self.value = nn.Linear(inside, 1)
        with torch.no_grad():
            self.policy.weight.mul_(0.01)  # all actions are alike at first
        if problem.actions == "continuous":
            self.log_std = nn.Parameter(torch.zeros(problem.outputs))

    def forward(self, memory: Tensor) -> Tensor:
        """(..., inside) -> (..., outputs of the policy, 1)."""
        said = [self.policy(memory)]
        if hasattr(self, "log_std"):
            said.append(self.log_std.expand_as(said[0]))
        return torch.cat([*said, self.value(memory)], -1)


def shifted(drawn: Trajectories) -> Seen:
    """What was seen at each step of trajectories (n, H, ...)."""

    def before(tensor: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(tensor[:, :1]), tensor[:, :-1]], 1)

    begun = before(torch.ones_like(drawn.real))
    return Seen(
        drawn.inputs,
        before(drawn.targets),
        before(drawn.rewards),
        before(drawn.ends),
        begun,
    )


def one_step(seen: Seen) -> Seen:
    """The same (n, ...) as sequences of one step (n, 1, ...)."""
    return Seen(*(tensor[:, None] for tensor in seen))
