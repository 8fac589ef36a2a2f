"""What of normalisation layers an inner loop leaves as it is."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from metapipe.numerics import normalisation_names


class Adapting(Protocol):
    """A method whose inner loop may move scales and shifts too."""

    @property
    def adapt_normalisation(self) -> bool:
        """Whether it does."""


def still_normalisation(method: Adapting, network: nn.Module) -> frozenset[str]:
    """Names of the parameters of normalisation layers, unless the inner loop moves
    them. Where there are none nobody asks, so that the setting is told to do nothing.
    """
    names = normalisation_names(network)
    return frozenset() if names and method.adapt_normalisation else names
