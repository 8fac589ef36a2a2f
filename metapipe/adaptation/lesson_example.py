"""An example of a class that somebody gave in a lesson."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data.class_episodes import digest
from .examples import Item


@dataclass(frozen=True)
class Example:
    """What was given for a class."""

    label: int
    """The number of its class."""

    item: Item
    made: Tensor
    """(*shape): the input that the encoder made of it."""

    seen: bytes | None
    """How it reaches the network, as a PNG; None where no picture is known."""


def unnamed(made: Tensor) -> Item:
    """What an input was made of, where only that is known."""
    return Item("example", digest(made.numpy()).hex())
