"""A gradient along a direction, beside central differences of what it should be of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from ..episode import Params

STEPS = (1e-7, 1e-8, 1e-9)
"""Smaller than usual: where a rectifier bends, the loss after adapting jumps. A shorter
one is tried where there may be a jump between; a wrong gradient agrees with none."""


class Slopes(NamedTuple):
    """The slope of a loss along one direction, found in two ways."""

    gradient: float
    differences: float

    @property
    def agree(self) -> bool:
        """To four digits, which is what differences are good for."""
        return math.isclose(*self, rel_tol=1e-4, abs_tol=1e-7)

    def __str__(self) -> str:
        return (
            f"the gradient says {self.gradient:.8g}, "
            f"differences say {self.differences:.8g}"
        )


def slopes(gradient: Params, loss: Callable[[Params], float], params: Params) -> Slopes:
    """Along a random direction, the same one for the same parameters."""
    generator = torch.Generator().manual_seed(0)
    along = {
        name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in params.items()
    }

    def moved(distance: float) -> float:
        return loss({name: p + distance * along[name] for name, p in params.items()})

    slope = sum(float((grad * along[name]).sum()) for name, grad in gradient.items())
    tried = (Slopes(slope, (moved(h) - moved(-h)) / (2 * h)) for h in STEPS)
    first = next(tried)
    return first if first.agree else next((s for s in tried if s.agree), first)
