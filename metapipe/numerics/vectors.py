"""Features as vectors to be compared."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def of_length_one(features: Tensor, *, roots: bool) -> Tensor:
    """Features (..., d) as unit vectors; or their `roots`, which keep their signs, so
    that a few large ones do not decide alone."""
    if roots:
        features = features.sign() * features.abs().sqrt()
    return F.normalize(features, dim=-1)
