"""Products with a curvature that is never written down."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..episode import Params
from .functional import vectorised


def curvature_loss(
    function: Callable[[Params], Tensor],
    params: Params,
    direction: Params,
    metric: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """A scalar whose gradient in `params` is J' M J `direction`, the Gauss-Newton
    product: J is the Jacobian of `function`, and `metric(outputs, tangent)` is M times
    a tangent.

    Where M is the Hessian of a loss in the outputs, and the loss has no slope there, as
    a divergence from the very same distribution, that is the loss's Hessian product.
    The Jacobian's product with a vector is the derivative of its transpose's, because
    torch's forward mode is not for threads.
    """
    token = vectorised.set(True)
    try:
        outputs, *pulled = torch.func.vjp(function, params)
        backwards = pulled[0]
        zeros = torch.zeros_like(outputs)
        forwards = torch.func.vjp(lambda weights: backwards(weights)[0], zeros)[1]
        (tangent,) = forwards(direction)
    finally:
        vectorised.reset(token)
    product = metric(outputs.detach(), tangent.detach())
    value: Tensor = (outputs * product).sum()
    return value
