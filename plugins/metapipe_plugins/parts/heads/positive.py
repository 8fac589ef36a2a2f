"""Systems with a positive definite matrix, of whose Cholesky factor L it is L L'.

On a GPU by triangular systems, which a CUDA graph can record: torch's `cholesky_solve`
and `cholesky_inverse` are calls of libraries that ask for memory in between.
"""

from __future__ import annotations

import torch
from torch import Tensor


def solution(factor: Tensor, right: Tensor) -> Tensor:
    """x (..., n, k) with L L' x = right, differentiably."""
    if factor.device.type == "cpu":
        return torch.cholesky_solve(right, factor)
    half = torch.linalg.solve_triangular(factor, right, upper=False)
    whole: Tensor = torch.linalg.solve_triangular(factor.mT, half, upper=True)
    return whole


def inverse(factor: Tensor) -> Tensor:
    """(L L')^-1, (..., n, n)."""
    if factor.device.type == "cpu":
        return torch.cholesky_inverse(factor)
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    eyes = eye.expand_as(factor)
    half: Tensor = torch.linalg.solve_triangular(factor, eyes, upper=False)
    return half.mT @ half
