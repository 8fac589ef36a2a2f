"""MAML on worlds: an inner loop of policy gradients. What is made of the query's
trajectories is the method's.

Finn, Abbeel & Levine, ICML 2017, section 5.3 and algorithm 3.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Drawn,
    Kind,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Trajectories,
)
from metapipe.numerics import (
    Credit,
    Loss,
    apply,
    at_each_step,
    by_step,
    divergence,
    entropy,
    inner_loop,
    mean_of,
    policy,
    surrogate,
    worth,
)


class PolicyGradient(Algorithm):
    """Learn a policy that a few steps of policy gradients fit to a world."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"control"})

    inner_lr: NonNegativeFloat = 0.1
    """Step size of the inner loop (alpha); 0 to learn one policy for all worlds."""

    further_lr: PositiveFloat | None = None
    """Step size from the second step on; as in the first if not given."""

    inner_steps: PositiveInt = 1
    """Steps in training, each on a round of new trajectories."""

    test_steps: NonNegativeInt | None = None
    """Steps when evaluated or used; as in training if not given."""

    credit: Credit = "reinforce"
    """What the inner loop ascends: log-probability times worth, whose derivatives leave
    out that another policy draws other trajectories; the ratio of probabilities, or
    dice, of which derivatives know more."""

    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """What a reward is worth one step later (gamma)."""

    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How far advantages look beyond the baseline (lambda): 1 for all rewards to come,
    0 for the next and what is expected then."""

    statistics: Literal["batch"] = "batch"
    """A policy has no statistics to keep."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model as a policy."""
        return policy(model, problem, self.statistics)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """A step on each round of trajectories."""
        return self._ascend(network, meta.params, support)

    def rounds(self, *, training: bool) -> int:
        """One for each step."""
        if training or self.test_steps is None:
            return self.inner_steps
        return self.test_steps

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """The initialisation itself."""
        return meta.params

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """What the adapted policy says of actions."""
        return apply(network, adapted, inputs)

    def _ascend(self, network: nn.Module, params: Params, support: Drawn) -> Params:
        """theta' = theta + alpha times the policy gradient, on each round in turn."""
        lr = self.inner_lr
        for drawn in by_step(support, 0):
            loss = self._inner_loss(network, drawn)
            params = inner_loop(loss, params, lr=lr, steps=1, second_order=True)
            lr = self.further_lr or self.inner_lr
        return params

    def _inner_loss(self, network: nn.Module, drawn: Trajectories) -> Loss:
        worths = self.worth(drawn)

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            outputs = self.said(network, params, drawn)
            return -surrogate(outputs, drawn, worths, self.credit), {}

        return loss

    def told(self, value: Tensor, outputs: Tensor, drawn: Trajectories) -> Metrics:
        """Of an outer loss: its value, how far the policy went from the one that acted,
        and how uncertain it is; without a graph."""
        apart = divergence(drawn.outputs, outputs, drawn.targets)
        figures = {
            "surrogate": value,
            "kl": mean_of(apart, drawn.real),
            "entropy": mean_of(entropy(outputs, drawn.targets), drawn.real),
        }
        return {name: figure.detach() for name, figure in figures.items()}

    def worth(self, drawn: Trajectories) -> Tensor:
        """What each action was worth, in these terms."""
        return worth(drawn, self.discount, self.decay)

    def said(self, network: nn.Module, params: Params, drawn: Trajectories) -> Tensor:
        """What a policy says at each step of trajectories, (n, H, o)."""
        return at_each_step(lambda seen: apply(network, params, seen), drawn)
