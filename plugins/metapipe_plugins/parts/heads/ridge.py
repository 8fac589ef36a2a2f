"""Ridge regression in closed form, over any number of tasks at once."""

from __future__ import annotations

import torch
from torch import Tensor

from metapipe_plugins.parts.heads.positive import solution


def ridge_regression(features: Tensor, targets: Tensor, penalty: Tensor) -> Tensor:
    """Weights w that minimise |features w - targets|^2 + penalty |w|^2, differentiably.

    features (..., n, d), targets (..., n, k), penalty a positive scalar: (..., d, k).
    The system that is solved has the smaller of n and d equations (by Woodbury's
    identity both give the same).
    """
    examples, dimensions = features.shape[-2:]
    if examples <= dimensions:
        kernel = features @ features.mT
        return features.mT @ _solve(kernel, targets, penalty)
    return _solve(features.mT @ features, features.mT @ targets, penalty)


def _solve(gram: Tensor, right: Tensor, penalty: Tensor) -> Tensor:
    """(gram + penalty I)^-1 right, for a positive semi-definite `gram`."""
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    factor = torch.linalg.cholesky_ex(gram + penalty * eye).L
    return solution(factor, right)
