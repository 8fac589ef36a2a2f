"""The multi-class support vector machine of Crammer and Singer, over many tasks at
once, differentiable in its kernel.

Dual problem (Lee et al. 2019, eq. 10, after Crammer & Singer 2001), for n examples of N
classes, with alpha (N, n), Y the one-hot labels and K the kernel:

    minimise    1/2 sum_k alpha_k' (K + ridge I) alpha_k - sum(Y alpha)
    subject to  alpha <= C Y,   sum_k alpha_k = 0.

It is solved by Mehrotra's predictor-corrector interior-point method. The classes are
coupled by the equality alone, so a Newton step needs N systems of n equations and one
Schur complement of n, not one system of N * n: the work of a general solver such as
qpth's is N^2 times more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metapipe_plugins.parts.heads.positive import inverse, solution

TINY = 1e-8
"""Least slack and multiplier in the system that gives the gradient."""

LEAST_WEIGHT = 1e-14
"""Least diagonal that is added: a kernel of few dimensions is singular."""

CLOSE = 1e-12
"""Violation of the conditions of optimality below which no step is left to take."""

SHORTER = 0.999
"""Share of the longest possible step that is taken."""


class Iterate(NamedTuple):
    """A primal-dual point: (..., N, n) each, but `balance` (..., n)."""

    alpha: Tensor
    slack: Tensor
    bound: Tensor
    """Multipliers of alpha <= C Y."""

    balance: Tensor
    """Multipliers of sum_k alpha_k = 0."""


class System(NamedTuple):
    """The Newton system, factorised."""

    inverses: Tensor
    """(..., N, n, n): of K + ridge I + diag(bound / slack), by class."""

    schur: Tensor
    """(..., n, n): Cholesky factor of their sum."""


def crammer_singer(
    kernel: Tensor, onehot: Tensor, c: float, *, ridge: float = 1.0, iterations: int
) -> Tensor:
    """Dual coefficients alpha (..., n, N) of kernel (..., n, n), onehot (..., n, N).

    In float64 inside, whatever the kernel's type, where the device has it. The gradient
    with respect to `kernel` is that of the optimum, by the implicit function theorem:
    it is exact if there were iterations enough (15 are, fewer are taken where fewer
    do), and once differentiable.
    """
    wide = torch.float32 if kernel.device.type == "mps" else torch.float64
    gram, labels = kernel.to(wide), onehot.detach().to(wide).mT
    eye = torch.eye(gram.shape[-1], dtype=wide, device=gram.device)
    gram = gram + ridge * eye
    with torch.no_grad():
        best = _optimum(gram.detach(), labels, c, iterations)
        weights = best.bound.clamp(min=TINY) / best.slack.clamp(min=TINY)
        system = _factorise(gram.detach(), weights)
    # Zero in value; by the implicit function theorem its gradient is the optimum's.
    residual = best.alpha @ gram
    alpha, _ = _solve(system, residual.detach() - residual, best.balance * 0)
    return (best.alpha + alpha).mT.to(kernel.dtype)


class Optimum(torch.autograd.Function):
    """The best point met: opaque to `vmap`, for when to stop is read off its values."""

    @staticmethod
    def forward(gram: Tensor, labels: Tensor, c: float, iterations: int) -> Iterate:
        """Of all tasks at once."""
        point = _start(gram, labels, c)
        best, lowest = point, _residual(point, gram, labels, c)
        for _ in range(iterations):
            going = lowest >= CLOSE  # no task depends on how long others take
            if not going.is_meta and not going.any():
                break
            point = _step(point, gram, labels, c)
            residual = _residual(point, gram, labels, c)
            better = going & (residual < lowest)  # false for what is not a number
            lowest = torch.where(better, residual, lowest)
            best = Iterate(
                *(_choose(better, p, b) for p, b in zip(point, best, strict=True))
            )
            point = Iterate(
                *(
                    _choose(residual.isfinite(), p, b)
                    for p, b in zip(point, best, strict=True)
                )
            )
        return best

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing: it is never differentiated."""

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        gram: Tensor,
        labels: Tensor,
        c: float,
        iterations: int,
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Mapped tasks are more tasks."""
        gram, labels = (
            tensor.expand(info.batch_size, *tensor.shape)
            if dim is None
            else tensor.movedim(dim, 0)
            for tensor, dim in zip((gram, labels), in_dims[:2], strict=True)
        )
        return tuple(_optimum(gram, labels, c, iterations)), (0, 0, 0, 0)


def _optimum(gram: Tensor, labels: Tensor, c: float, iterations: int) -> Iterate:
    apply: Callable[..., tuple[Tensor, ...]] = Optimum.apply
    return Iterate(*apply(gram, labels, c, iterations))


def _start(gram: Tensor, labels: Tensor, c: float) -> Iterate:
    """The optimum with the inequality taken as a quadratic penalty, moved inside."""
    system = _factorise(gram, torch.ones_like(labels))
    alpha, balance = _solve(system, labels + c * labels, labels.sum(-2) * 0)
    slack = c * labels - alpha
    return Iterate(alpha, _inside(slack), _inside(-slack), balance)


def _inside(values: Tensor) -> Tensor:
    """Shifted so that all are positive."""
    least = values.amin((-2, -1), keepdim=True)
    return torch.where(least > 0, values, values - least + 1)


def _step(point: Iterate, gram: Tensor, labels: Tensor, c: float) -> Iterate:
    """One predictor and corrector step."""
    system = _factorise(gram, point.bound / point.slack)
    target = torch.zeros_like(point.slack)
    predictor = _newton(point, system, gram, labels, c, target)
    mean = (point.slack * point.bound).mean((-2, -1), keepdim=True)
    ahead = _moved(point, predictor, _length(point, predictor))
    centring = ((ahead.slack * ahead.bound).mean((-2, -1), keepdim=True) / mean) ** 3
    target = centring * mean - predictor.slack * predictor.bound
    corrector = _newton(point, system, gram, labels, c, target)
    return _moved(point, corrector, SHORTER * _length(point, corrector))


def _newton(
    point: Iterate, system: System, gram: Tensor, labels: Tensor, c: float, to: Tensor
) -> Iterate:
    """The direction in which all residuals vanish to first order, and slack * bound
    becomes `to`."""
    alpha, slack, bound, balance = point
    dual = alpha @ gram - labels + bound + balance.unsqueeze(-2)
    primal = alpha + slack - c * labels
    products = slack * bound - to
    right = (products - bound * primal) / slack - dual
    d_alpha, d_balance = _solve(system, right, alpha.sum(-2))
    d_slack = -primal - d_alpha
    d_bound = -(products + bound * d_slack) / slack
    return Iterate(d_alpha, d_slack, d_bound, d_balance)


def _factorise(gram: Tensor, weights: Tensor) -> System:
    """A singular system gives what is not a number, and is then not followed."""
    diagonal = torch.diag_embed(weights.clamp(min=LEAST_WEIGHT))
    inverses = inverse(torch.linalg.cholesky_ex(gram.unsqueeze(-3) + diagonal).L)
    return System(inverses, torch.linalg.cholesky_ex(inverses.sum(-3)).L)


def _solve(system: System, right: Tensor, excess: Tensor) -> tuple[Tensor, Tensor]:
    """x (..., N, n) and y (..., n) with M_k x_k + y = right_k, sum_k x_k = -excess."""
    first = _times(system.inverses, right)
    total = (first.sum(-2) + excess).unsqueeze(-1)
    y = solution(system.schur, total).squeeze(-1)
    return _times(system.inverses, right - y.unsqueeze(-2)), y


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    # Not `@`, which takes twice as long for matrices of this size.
    return (matrices * vectors.unsqueeze(-2)).sum(-1)


def _length(point: Iterate, direction: Iterate) -> Tensor:
    """(..., 1, 1): longest step, at most 1, that keeps slack and bound positive."""
    limits = [
        torch.where(change < 0, -value / change, torch.inf).amin((-2, -1), keepdim=True)
        for value, change in (
            (point.slack, direction.slack),
            (point.bound, direction.bound),
        )
    ]
    return torch.minimum(*limits).clamp(max=1.0)


def _moved(point: Iterate, direction: Iterate, length: Tensor) -> Iterate:
    return Iterate(
        point.alpha + length * direction.alpha,
        point.slack + length * direction.slack,
        point.bound + length * direction.bound,
        point.balance + length.squeeze(-1) * direction.balance,
    )


def _residual(point: Iterate, gram: Tensor, labels: Tensor, c: float) -> Tensor:
    """(...): how far from optimal, the largest violation of any condition."""
    alpha, slack, bound, balance = point
    dual = alpha @ gram - labels + bound + balance.unsqueeze(-2)
    violations = (dual, alpha + slack - c * labels, slack * bound)
    parts = [violation.abs().amax((-2, -1)) for violation in violations]
    return torch.stack([*parts, alpha.sum(-2).abs().amax(-1)]).amax(0)


def _choose(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` for the tasks for which `condition` (...) holds, `no` for the others."""
    shape = condition.shape + (1,) * (yes.ndim - condition.ndim)
    return torch.where(condition.reshape(shape), yes, no)
