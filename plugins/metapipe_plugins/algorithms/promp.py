"""ProMP: proximal meta-policy search.

Rothfuss, Lee, Clavera, Asfour & Abbeel, "ProMP: Proximal Meta-Policy Search", ICLR
2019. Equation and algorithm numbers below are those of the paper; details are those of
the authors' code.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from metapipe import (
    Drawn,
    Episodes,
    Meta,
    Metrics,
    Params,
    Register,
    Step,
    TaskMap,
    Trajectories,
    hookimpl,
)
from metapipe.numerics import (
    Credit,
    by_step,
    clipped_surrogate,
    divergence,
    mean_of,
    return_figures,
)
from metapipe_plugins.parts.policies.policy_gradient import PolicyGradient


class ProMP(PolicyGradient):
    """Learn a policy that a step of policy gradients fits to a world, by several outer
    steps on the same trajectories, none of which goes far."""

    paper: ClassVar[str] = (
        "Rothfuss, Lee, Clavera, Asfour & Abbeel, ICLR 2019, "
        "https://arxiv.org/abs/1810.06784"
    )
    equations: ClassVar[str] = "eq. 10 (LVC), eq. 13 and 14, algorithm 1"
    departures: ClassVar[str] = (
        "the weight of the divergence is fixed, as in the authors' runs, not adapted"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "model.layers": [64, 64],
        "model.activation": "tanh",
        "model.initial": "xavier",
        "training.passes": 5,
        "training.lr": 0.001,
    }

    credit: Credit = "ratio"
    """What the inner loop ascends: the ratio of probabilities, the paper's
    low-variance curvature (LVC); dice, or the log-probability of MAML's reference."""

    clip: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """How far the ratio of probabilities of a query's actions may go from 1 before more
    of it is worth nothing (epsilon)."""

    divergence: NonNegativeFloat = 0.0005
    """Weight of the divergence of the policy before adaptation from that which acted
    (eta)."""

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the clipped surrogate of adapted policies, less the weighed divergence of
        those before adaptation (eq. 14)."""

        def loss(
            params: Params, support: Drawn, query: Drawn
        ) -> tuple[Tensor, Metrics]:
            return self._loss(network, params, support, query)

        gradients, metrics = over.gradient(loss, meta.params, episodes)
        return Step(gradients, {**return_figures(episodes), **metrics}, meta.state)

    def _loss(
        self,
        network: nn.Module,
        params: Params,
        support: Drawn,
        query: Trajectories,
    ) -> tuple[Tensor, Metrics]:
        adapted = self._ascend(network, params, support)
        outputs = self.said(network, adapted, query)
        gain = clipped_surrogate(outputs, query, self.worth(query), self.clip)
        value = self.divergence * self._moved(network, params, support) - gain
        return value, self.told(value, outputs, query)

    def _moved(self, network: nn.Module, params: Params, support: Drawn) -> Tensor:
        """The mean over rounds of the divergence of policies from those that drew
        them."""
        total = params[next(iter(params))].new_zeros(())
        parts = by_step(support, 0)
        for number, drawn in enumerate(parts):
            before = type(support)(*(tensor[:number] for tensor in support))
            outputs = self.said(network, self._ascend(network, params, before), drawn)
            apart = divergence(drawn.outputs, outputs, drawn.targets)
            total = total + mean_of(apart, drawn.real) / len(parts)
        return total


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer ProMP."""
    register("promp", ProMP)
