"""No network: features are the inputs, for vectors that a backbone has made."""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn

from metapipe import Model, Register, Statistics, hookimpl


class Identity(Model):
    """The flattened input as it is, then a linear head."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, d) without any parameter."""
        modules: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if outputs is not None:
            modules["head"] = nn.Linear(math.prod(shape), outputs)
        return nn.Sequential(modules)


@hookimpl
def register_models(register: Register) -> None:
    """Offer the identity."""
    register("identity", Identity)
