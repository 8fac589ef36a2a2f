"""A residual perceptron for the vectors of a backbone, which begins as the identity.

He, Zhang, Ren & Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016: what is
added to the input is nought at the start. So training begins at the frozen features,
from where a perceptron with random weights would first have to find back.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import Model, Register, Statistics, hookimpl
from metapipe.numerics import of_length_one


class ResidualMLP(Model):
    """The features as vectors of one length, with what one hidden layer adds."""

    paper: ClassVar[str] = "He et al., ECCV 2016, https://arxiv.org/abs/1603.05027"

    width: PositiveInt = 512
    """Of the hidden layer."""

    power: bool = True
    """Whether features are first replaced by their roots, as the heads do it."""

    length: PositiveFloat = 4.0
    """Of a vector at the start: distances grow with it, and with them how sure a
    prototypical network is before it has learned anything."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, d) of the input's own width."""
        width = math.prod(shape)
        block = Residual(width, self.width, self.power, self.length)
        modules: OrderedDict[str, nn.Module] = OrderedDict(residual=block)
        if outputs is not None:
            modules["head"] = nn.Linear(width, outputs)
        return nn.Sequential(modules)


class Residual(nn.Module):
    """x -> x + B relu(A x + a) + b, where B and b are nought at the start, and x the
    features, brought to one length."""

    def __init__(self, width: int, hidden: int, power: bool, length: float) -> None:
        super().__init__()
        self.power, self.length = power, length
        self.inside, self.outside = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.outside.weight)
        nn.init.zeros_(self.outside.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> (n, d)."""
        vectors = self.length * of_length_one(inputs.flatten(1), roots=self.power)
        added: Tensor = self.outside(torch.relu(self.inside(vectors)))
        return vectors + added


@hookimpl
def register_models(register: Register) -> None:
    """Offer the residual perceptron."""
    register("residual-mlp", ResidualMLP)
