"""A model: dense layers that each add to what came before them."""

import math

from pydantic import PositiveInt
from torch import Tensor, nn

from metapipe import Model, Register, Statistics, UnsupportedError, hookimpl


class Block(nn.Module):
    """x plus a normalised layer of x."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.GroupNorm(groups, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) -> (n, width)."""
        out: Tensor = x + self.norm(self.linear(x)).relu()
        return out


class Residual(Model):
    """Dense residual blocks on the flattened input, then a linear head."""

    width: PositiveInt = 64
    """Width of every layer, and of the features."""

    groups: PositiveInt = 4
    """Groups that are normalised together: they divide the width."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, width)."""
        if self.width % self.groups:
            raise UnsupportedError(
                f"residual: {self.groups} groups do not divide width={self.width}"
            )
        network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), self.width))
        network.extend(Block(self.width, self.groups) for _ in range(2))
        if outputs is not None:
            network.add_module("head", nn.Linear(self.width, outputs))
        return network


@hookimpl
def register_models(register: Register) -> None:
    """Offer the model."""
    register("residual", Residual)
