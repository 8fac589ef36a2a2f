"""Conjugate gradients for systems that are known by their products with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from metapipe import Params


class Iterate(NamedTuple):
    """Where the iterations are."""

    solution: Params
    left: Params
    """The right side less the operator's product with the solution."""

    size: Tensor
    """Square of the norm of what is left."""

    going: Tensor
    """False from a direction of no positive curvature on, beyond which iterates mean
    nothing; or where nothing is left."""


def conjugate_gradients(
    operator: Callable[[Params], Params], right: Params, steps: int
) -> Iterator[Iterate]:
    """The iterates after 1, 2, ... `steps` of solving `operator(x) = right`, from 0 on
    (Hestenes & Stiefel 1952); also under `vmap`."""
    solution = {k: torch.zeros_like(v) for k, v in right.items()}
    left, along = right, right
    size = dot(left, left)
    going = size > 0
    for _ in range(steps):
        image = operator(along)
        curvature = dot(along, image)
        going = going & (curvature > 0)
        step = _ratio(size, curvature) * going
        solution = {k: v + step * along[k] for k, v in solution.items()}
        left = {k: v - step * image[k] for k, v in left.items()}
        before, size = size, dot(left, left)
        yield Iterate(solution, left, size, going)
        turn = _ratio(size, before)
        along = {k: v + turn * along[k] for k, v in left.items()}
        going = going & (size > 0)


def dot(a: Params, b: Params) -> Tensor:
    """Sum of the products of all elements."""
    return torch.stack([(a[k] * b[k]).sum() for k in a]).sum()


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """0 where there is nothing to divide."""
    safe = torch.where(under == 0, torch.ones_like(under), under)
    return torch.where(under == 0, torch.zeros_like(over), over / safe)
