"""A model without its head, seen from behind."""

from __future__ import annotations

import torch
from torch import nn


def feature_length(features: nn.Module, shape: tuple[int, ...]) -> int:
    """d of a network from (n, *shape) to (n, d), found by trying."""
    was_training = features.training
    device = next((p.device for p in features.parameters()), None)
    with torch.no_grad():
        length = features.eval()(torch.zeros(2, *shape, device=device)).shape[-1]
    features.train(was_training)
    return int(length)
