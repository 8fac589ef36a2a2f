"""How much memory a network's activations may take, guessed from its parameters."""

from __future__ import annotations

import math

from torch import nn

BUDGET = 2**30
"""Bytes of activations that a batch is cut to: batches of pictures of usual sizes are
not cut."""

LARGEST = 2**31
"""Bytes of activations of one input, beyond which a file is not opened."""


def bytes_per_input(network: nn.Module, shape: tuple[int, ...]) -> int:
    """An upper bound, for networks that do not enlarge their inputs, of the bytes of
    the largest float32 activation that one input of that shape has: as many channels
    as the widest convolution, everywhere, or as many numbers as the widest layer."""
    widths = [p.shape for p in network.parameters() if p.ndim]
    channels = max((s[0] for s in widths if len(s) > 2), default=1)
    features = max((s[0] for s in widths if len(s) <= 2), default=1)
    places = math.prod(shape[1:]) if channels > 1 else 1
    return 4 * max(math.prod(shape), channels * places, features)


def fitting(network: nn.Module, shape: tuple[int, ...], most: int) -> int:
    """Inputs whose activations keep to the budget: between 1 and `most`."""
    return max(1, min(most, BUDGET // bytes_per_input(network, shape)))
