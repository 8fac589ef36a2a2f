"""Classes by the mean of their examples' features.

Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def prototypes(features: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Mean features of each class: (..., n, d) and (..., n) -> (..., ways, d)."""
    members = F.one_hot(labels, ways).to(features.dtype)  # (..., n, ways)
    return (members.mT @ features) / members.sum(-2).unsqueeze(-1)


def squared_distances(features: Tensor, means: Tensor) -> Tensor:
    """Squared Euclidean distances: (..., m, d) and (..., ways, d) -> (..., m, ways)."""
    cross = features @ means.mT
    lengths = (features**2).sum(-1, keepdim=True) + (means**2).sum(-1).unsqueeze(-2)
    return lengths - 2 * cross
