"""MAML for reinforcement learning, with trust regions (MAML-TRPO).

Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
Networks", ICML 2017, algorithm 3; Schulman, Levine, Moritz, Jordan & Abbeel, "Trust
Region Policy Optimization", ICML 2015. Details are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
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
    fisher,
    linearised,
    return_figures,
    surrogate,
)
from metapipe_plugins.parts.policies.policy_gradient import PolicyGradient
from metapipe_plugins.parts.solvers.conjugate_gradients import (
    conjugate_gradients,
    dot,
)


class MAMLTRPO(PolicyGradient):
    """Learn a policy that a step of policy gradients fits to a world, by outer steps
    that change what adapted policies do by so much and no more."""

    paper: ClassVar[str] = (
        "Finn, Abbeel & Levine, ICML 2017, https://arxiv.org/abs/1703.03400; "
        "Schulman et al., ICML 2015, https://arxiv.org/abs/1502.05477"
    )
    equations: ClassVar[str] = (
        "algorithm 3 with eq. 4, the outer step by TRPO (its appendix C)"
    )
    departures: ClassVar[str] = (
        "curvature is Fisher's information of the policies, which the divergence's "
        "Hessian is where it is taken, and of a share of the trajectories"
    )
    recommended: ClassVar[dict[str, object]] = {
        "run.model": "mlp",
        "model.layers": [100, 100],
        "model.initial": "xavier",
        "training.optimiser": "sgd",
        "training.lr": 1.0,
    }

    recommended_with: ClassVar[dict[str, dict[str, object]]] = {
        "navigation2d": {"algorithm.inner_lr": 0.5, "algorithm.further_lr": 0.15},
    }

    kl: PositiveFloat = 0.01
    """Largest mean divergence of new adapted policies from those that acted (delta), in
    nats."""

    curvature: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the trajectories by which curvature is told: most of the time goes
    there."""

    solver_steps: PositiveInt = 10
    """Iterations of conjugate gradients."""

    damping: NonNegativeFloat = 1e-5
    """Added to the curvature in every direction."""

    backtracks: PositiveInt = 15
    """Lengths of the step that are tried, the full one first."""

    backtrack_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Each length as a share of the one before."""

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """theta less where TRPO goes from it, so that plain gradient descent with step
        size 1 goes there; zero where no length of the step will do."""

        def loss(
            params: Params, support: Drawn, query: Drawn
        ) -> tuple[Tensor, Metrics]:
            return self._outer_loss(network, params, support, query)

        slope, metrics = over.gradient(loss, meta.params, episodes)
        product = self._product(network, meta.params, self._fewer(episodes))
        step = self._full_step(product, slope)

        def judged(params: Params) -> tuple[Tensor, Metrics]:
            def judge(support: Drawn, query: Drawn) -> Metrics:
                return self._outer_loss(network, params, support, query)[1]

            with torch.no_grad():
                found = over(judge, episodes)
            return found["surrogate"].mean(), found

        step, found = self._search(meta.params, step, judged, metrics)
        told = {**return_figures(episodes), **metrics, **found}
        return Step(step, told, meta.state)

    def _outer_loss(
        self, network: nn.Module, params: Params, support: Drawn, query: Drawn
    ) -> tuple[Tensor, Metrics]:
        """Minus the surrogate of the adapted policy, and what it is beside."""
        drawn: Trajectories = query
        adapted = self._ascend(network, params, support)
        outputs = self.said(network, adapted, drawn)
        value = -surrogate(outputs, drawn, self.worth(drawn), "ratio")
        return value, self.told(value, outputs, drawn)

    def _fewer(self, episodes: Episodes) -> Episodes:
        """With the first share of each task's trajectories."""

        def first(drawn: Trajectories, axis: int) -> Trajectories:
            count = max(1, round(drawn.rewards.shape[axis] * self.curvature))
            return Trajectories(*(t.narrow(axis, 0, count) for t in drawn))

        support, query = episodes.support, episodes.query
        return episodes._replace(support=first(support, 2), query=first(query, 1))

    def _product(
        self, network: nn.Module, theta: Params, episodes: Episodes
    ) -> Callable[[Params], Params]:
        """v -> (H + damping) v, where H is the Hessian at theta of the mean divergence
        of adapted policies from those at theta."""

        def outputs(params: Params, support: Drawn, query: Drawn) -> Tensor:
            adapted = self._ascend(network, params, support)
            return self.said(network, adapted, query)

        near = linearised(outputs, theta, episodes)
        drawn: Trajectories = episodes.query
        share = drawn.real / drawn.real.sum((1, 2), keepdim=True) / len(drawn.real)

        def product(vector: Params) -> Params:
            tangent = near.forwards(vector)
            weighed = fisher(near.outputs.detach(), tangent, drawn.targets)
            found = near.backwards(weighed * share[..., None])
            return {k: h + self.damping * vector[k] for k, h in found.items()}

        return product

    def _full_step(self, product: Callable[[Params], Params], slope: Params) -> Params:
        """The solution of H x = slope, as long as `kl` allows by its own curvature."""
        found = None
        for found in conjugate_gradients(product, slope, self.solver_steps):
            if not found.going:
                break
        assert found is not None
        # x' H x, of H x = slope less what is left.
        bent = dot(found.solution, slope) - dot(found.solution, found.left)
        length = (2 * self.kl / bent.clamp(min=1e-30)).sqrt()
        return {k: length * v for k, v in found.solution.items()}

    def _search(
        self,
        theta: Params,
        step: Params,
        judged: Callable[[Params], tuple[Tensor, Metrics]],
        before: Metrics,
    ) -> tuple[Params, Metrics]:
        """The longest of the lengths by which the loss falls and the divergence keeps
        its bound, and what it comes to."""
        still = before["surrogate"].mean()
        for number in range(self.backtracks):
            share = self.backtrack_ratio**number
            shorter = {k: share * v for k, v in step.items()}
            value, found = judged({k: p - shorter[k] for k, p in theta.items()})
            if value < still and found["kl"].mean() <= self.kl:
                return shorter, _told(found["kl"], share)
        return {k: torch.zeros_like(v) for k, v in step.items()}, _told(
            torch.zeros_like(before["kl"]), 0.0
        )


def _told(kl: Tensor, share: float) -> Metrics:
    """The divergence that was accepted, and the share of the full step."""
    return {"kl": kl, "line_search": torch.full_like(kl, share)}


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer MAML-TRPO."""
    register("maml-trpo", MAMLTRPO)
