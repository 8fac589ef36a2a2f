"""Products with a Jacobian, and so with a curvature, that is never written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..episode import Drawn, Episodes, Params
from .functional import vectorised
from .recomputation import recomputing

TaskOutputs = Callable[[Params, Drawn, Drawn], Tensor]
"""A tensor of one task, from parameters and its support and query set."""


@dataclass(frozen=True)
class Linearised:
    """A function of parameters near a point: values, and products with its Jacobian J
    and with J transposed. Its graph is kept for them."""

    leaves: Params
    outputs: Tensor
    """(T, ...), of T tasks."""

    weights: Tensor
    pulled: tuple[Tensor, ...]
    """J' weights, at weights of 0: linear in them, so its transpose's transpose is J;
    torch's forward mode would be for one thread only, and for no kept graph."""

    def forwards(self, direction: Params) -> Tensor:
        """J `direction`, shaped like the outputs."""
        along = tuple(direction[name] for name in self.leaves)
        return torch.autograd.grad(
            self.pulled, self.weights, along, retain_graph=True, materialize_grads=True
        )[0]

    def backwards(self, weights: Tensor) -> Params:
        """J' `weights`, keyed like the parameters."""
        found = torch.autograd.grad(
            self.outputs,
            tuple(self.leaves.values()),
            weights,
            retain_graph=True,
            materialize_grads=True,
        )
        return dict(zip(self.leaves, found, strict=True))


def linearised(function: TaskOutputs, params: Params, episodes: Episodes) -> Linearised:
    """`function` of all tasks at once, around `params`.

    With the Hessian M of a loss in the outputs, J' M J is the Gauss-Newton matrix;
    where the loss has no slope there, as a divergence from the very same distribution,
    it is the loss's own Hessian.
    """
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    token = vectorised.set(True)
    try:
        with torch.enable_grad(), recomputing(False):
            outputs = torch.func.vmap(
                lambda support, query: function(leaves, support, query),
                randomness="different",
            )(episodes.support, episodes.query)
    finally:
        vectorised.reset(token)
    with torch.enable_grad():
        weights = torch.zeros_like(outputs).requires_grad_()
        pulled = torch.autograd.grad(
            outputs,
            tuple(leaves.values()),
            weights,
            create_graph=True,
            materialize_grads=True,
        )
    return Linearised(leaves, outputs, weights, pulled)
