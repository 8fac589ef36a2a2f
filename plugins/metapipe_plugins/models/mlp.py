"""A multilayer perceptron: MAML's sinusoid network by default, its no-convolution
Omniglot network with `-s model.layers=[256,128,64,64] -s model.normalise=true`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import nn

from metapipe import Model, Register, Statistics, hookimpl
from metapipe.numerics import BatchNorm


class MLP(Model):
    """Dense layers on the flattened input, then a linear head."""

    paper: ClassVar[str] = (
        "Finn et al., ICML 2017, https://arxiv.org/abs/1703.03400, sections 5.1 and 5.2"
    )

    layers: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (40, 40)
    """Widths of the hidden layers."""

    activation: Literal["relu", "tanh"] = "relu"
    """Non-linearity after each hidden layer."""

    normalise: bool = False
    """Batch normalisation before each non-linearity."""

    initial: Literal["xavier", "torch"] = "torch"
    """Initial weights: torch's, or uniform by Glorot & Bengio with biases of 0, as in
    codes of reinforcement learning: a step of an inner loop then changes more of what
    the network says."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, layers[-1])."""
        widths = [math.prod(shape), *self.layers]
        modules: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for number, (inside, outside) in enumerate(pairwise(widths), start=1):
            modules[f"linear{number}"] = nn.Linear(inside, outside)
            if self.normalise:
                modules[f"norm{number}"] = BatchNorm(outside, statistics)
            modules[f"{self.activation}{number}"] = (
                nn.ReLU() if self.activation == "relu" else nn.Tanh()
            )
        if outputs is not None:
            modules["head"] = nn.Linear(widths[-1], outputs)
        network = nn.Sequential(modules)
        if self.initial == "xavier":
            network.apply(_xavier)
        return network


def _xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


@hookimpl
def register_models(register: Register) -> None:
    """Offer the perceptron."""
    register("mlp", MLP)
