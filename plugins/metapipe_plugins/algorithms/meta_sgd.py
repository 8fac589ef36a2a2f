"""Meta-SGD: an initialisation, and a step size for every element of it.

Li, Zhou, Chen & Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017.
Two popular codes under this name learn one step size for the whole network, or one per
tensor: both understate the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Drawn,
    Episodes,
    Group,
    Kind,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Register,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import (
    apply,
    by_step,
    inner_loop,
    partition,
    policy,
    query_loss,
    support_loss,
)
from metapipe_plugins.parts.networks.still_normalisation import still_normalisation

RATE = "rate."
"""Prefix of the step sizes among the meta-parameters."""


class MetaSGD(Algorithm):
    """One gradient step with a learned, possibly negative, rate for every element."""

    paper: ClassVar[str] = "Li, Zhou, Chen & Li, 2017, https://arxiv.org/abs/1707.09835"
    equations: ClassVar[str] = "eq. 3 and 4, algorithm 1"
    departures: ClassVar[str] = (
        "rates begin at a constant, where the paper draws them; parameters of "
        "normalisation layers have no rate unless adapt_normalisation is on"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"classification", "regression", "control"}
    )

    initial_rate: PositiveFloat = 0.1
    """Every rate (alpha) before training, for the loss of `inner_loss`."""

    inner_loss: Literal["reference", "mean"] = "reference"
    """Scale of the support loss in classification: summed over the support set and
    divided by the shots, which is `ways` times the mean; or the mean."""

    adapt_normalisation: bool = False
    """Whether the inner step also moves the parameters of normalisation layers."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def groups(self) -> Sequence[Group]:
        """Step sizes are learned, and not to be decayed."""
        return (Group(RATE, decays=False),)

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model with its head; a policy in worlds."""
        return policy(model, problem, self.statistics)

    def init(self, network: nn.Module) -> Meta:
        """theta is the network's own, alpha has its very shape."""
        meta = Meta.of(network)
        fixed = still_normalisation(self, network)
        rates = {
            RATE + name: torch.full_like(p, self.initial_rate)
            for name, p in meta.params.items()
            if name not in fixed
        }
        return Meta({**meta.params, **rates}, meta.state)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """theta' = theta - alpha o gradient of the support loss (eq. 3)."""
        return self._step(network, meta.params, support)

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """theta itself."""
        return {k: p for k, p in meta.params.items() if not k.startswith(RATE)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters."""
        return apply(network, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the mean query loss at theta', for theta and alpha (eq. 4)."""

        def loss(
            params: Params, support: Drawn, query: Drawn
        ) -> tuple[Tensor, Metrics]:
            adapted = self._step(network, params, support)
            return query_loss(lambda inputs: apply(network, adapted, inputs), query)

        grads, metrics = over.gradient(loss, meta.params, episodes)
        return Step(grads, metrics, meta.state)

    def _step(self, network: nn.Module, params: Params, support: Drawn) -> Params:
        rates = {
            name.removeprefix(RATE): rate
            for name, rate in params.items()
            if name.startswith(RATE)
        }
        theta = {k: p for k, p in params.items() if not k.startswith(RATE)}
        moved, fixed = partition(theta, rates)
        for part in by_step(support, 1):
            moved = inner_loop(
                support_loss(network, part, fixed, scale=self.inner_loss),
                moved,
                lr=rates,
                steps=1,
                second_order=True,
            )
        return {**moved, **fixed}


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer Meta-SGD."""
    register("meta-sgd", MetaSGD)
