"""iMAML: the gradient of where the inner loop ends, not of how it got there.

Rajeswaran, Finn, Kakade & Levine, "Meta-Learning with Implicit Gradients", NeurIPS
2019. Equation numbers are those of the paper.

The operator I + H / lambda of eq. 6 is definite where the inner problem is convex, and
a network's after a few steps is not: on Omniglot at the start, directions have a
curvature of -0.2, and five iterations leave a residual above 1. So the default is the
operator of the released code, which is definite there for nearly all tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Kind,
    Meta,
    Metrics,
    Params,
    Register,
    Samples,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import (
    Loss,
    apply,
    before_adaptation,
    gradient,
    inner_loop,
    support_loss,
    task_loss,
)
from metapipe_plugins.parts.solvers.conjugate_gradients import (
    conjugate_gradients,
    dot,
)


class IMAML(Algorithm):
    """MAML that needs the inner problem's solution only, however it was found."""

    paper: ClassVar[str] = (
        "Rajeswaran, Finn, Kakade & Levine, NeurIPS 2019, "
        "https://arxiv.org/abs/1909.04630"
    )
    equations: ClassVar[str] = (
        "eq. 3 (proximal inner problem), eq. 6 and 7 (implicit gradient by conjugate "
        "gradients), algorithms 1 and 2"
    )
    departures: ClassVar[str] = (
        "as in the released code, the operator of eq. 6 is damped (damping and "
        "solver_proximity of 0 are the paper's); the proximal term is in every inner "
        "step, where that code has it in one step at the end; a task whose operator is "
        "not definite keeps what was solved before that was seen"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification", "regression"})

    inner_lr: PositiveFloat = 0.1
    """Step size of the inner loop."""

    inner_steps: PositiveInt = 16
    """Gradient steps on the support set, in training and when used."""

    proximity: PositiveFloat = 2.0
    """Weight of the distance to the initialisation (lambda)."""

    solver_steps: PositiveInt = 5
    """Iterations of conjugate gradients."""

    damping: NonNegativeFloat = 1.0
    """Added to the identity in the operator that is inverted; 0 in the paper."""

    solver_proximity: NonNegativeFloat = 10.0
    """Added to `proximity` where the operator divides the curvature by it; 0 in the
    paper."""

    statistics: Literal["batch"] = "batch"
    """Normalisation layers use the batch at hand, always: queries predicted together
    see each other (transductive)."""

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """phi: near the minimum of support loss and proximal term (eq. 3)."""
        return self._descend(network, meta.params, support)

    def unadapted(self, network: nn.Module, meta: Meta) -> Params:
        """The initialisation itself."""
        return meta.params

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs of the network with the adapted parameters."""
        return apply(network, adapted, inputs)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """(I + H / lambda)^-1, damped, times the gradient of the query loss at phi
        (eq. 6), H being the Hessian of the support loss there; the mean over tasks.
        The metrics have each task's `residual`."""

        def task(support: Samples, query: Samples) -> Metrics:
            phi = self._descend(network, meta.params, support)
            grads, figures = gradient(_loss(network, query), phi)
            found, residual = self._solve(network, phi, support, grads)
            _, before = _loss(network, query)(meta.params)
            told = {**figures, **before_adaptation(before), "residual": residual}
            return {**found, **told}

        with torch.no_grad():
            metrics = over(task, episodes)
        grads = {name: metrics.pop(name).mean(0) for name in meta.params}
        return Step(grads, metrics, meta.state)

    def _descend(self, network: nn.Module, theta: Params, support: Samples) -> Params:
        """Gradient descent on the support loss plus lambda / 2 |phi - theta|^2."""
        data = support_loss(network, support)

        def loss(phi: Params) -> tuple[Tensor, Metrics]:
            value, metrics = data(phi)
            distance = sum(((phi[k] - theta[k].detach()) ** 2).sum() for k in phi)
            return value + self.proximity / 2 * distance, metrics

        steps = self.inner_steps
        return inner_loop(
            loss, theta, lr=self.inner_lr, steps=steps, second_order=False
        )

    def _solve(
        self, network: nn.Module, phi: Params, support: Samples, right: Params
    ) -> tuple[Params, Tensor]:
        """Conjugate gradients, and how much they left of the right side: 0 is solved, 1
        no better than nothing.

        They end where nothing is left, or at a direction of no positive curvature,
        beyond which they mean nothing; the iterate with the least left is kept. Where
        the first direction is such a one, curvature is taken to be 0.
        """
        operator = self._operator(network, phi, support)
        whole = dot(right, right)
        kept = {k: v / (1 + self.damping) for k, v in right.items()}
        least = whole
        for found in conjugate_gradients(operator, right, self.solver_steps):
            better = found.going & (found.size < least)
            kept = {
                k: torch.where(better, v, kept[k]) for k, v in found.solution.items()
            }
            least = torch.where(better, found.size, least)
        share = least / torch.where(whole == 0, torch.ones_like(whole), whole)
        return kept, share.sqrt()

    def _operator(
        self, network: nn.Module, phi: Params, support: Samples
    ) -> Callable[[Params], Params]:
        """v -> (1 + damping) v + H v / (lambda + solver_proximity)."""
        data = support_loss(network, support)
        keep, stiffness = 1 + self.damping, self.proximity + self.solver_proximity

        def operator(vector: Params) -> Params:
            curvature = _hessian_times(lambda p: data(p)[0], phi, vector)
            return {k: keep * v + curvature[k] / stiffness for k, v in vector.items()}

        return operator


def _loss(network: nn.Module, samples: Samples) -> Loss:
    def loss(params: Params) -> tuple[Tensor, Metrics]:
        return task_loss(apply(network, params, samples.inputs), samples.targets)

    return loss


def _hessian_times(loss: Callable[[Params], Tensor], at: Params, v: Params) -> Params:
    """The Hessian of `loss` times a vector, by differentiating twice."""

    def slope(params: Params) -> Tensor:
        return dot(torch.func.grad(loss)(params), v)

    found: Params = torch.func.grad(slope)({k: p.detach() for k, p in at.items()})
    return found


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer iMAML."""
    register("imaml", IMAML)
