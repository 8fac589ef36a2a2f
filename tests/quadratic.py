"""Fixture 23.1 of algorithms.md: two quadratics as the losses of one linear episode."""

import torch
from torch import nn

from metapipe import Episodes, Meta, Samples, Task

RECIPE = Task("none", "train", 0, 0, 1, 2, 2)


def quadratic(matrix: list[list[float]], centre: list[float]) -> Samples:
    """A regression set whose mean squared error is 1/2 (t - c)' M (t - c)."""
    root = torch.linalg.cholesky(torch.tensor(matrix, dtype=torch.float64)).T
    targets = root @ torch.tensor(centre, dtype=torch.float64)
    return Samples(root[None], targets[None, :, None])


def quadratic_episode() -> tuple[nn.Module, Meta, Episodes]:
    """Fixture 23.1 as a linear network on one episode."""
    network = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    theta = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    support = quadratic([[2, 1], [1, 3]], [0.5, 0.0])
    query = quadratic([[1, 0], [0, 2]], [-1.0, 2.0])
    return network, Meta({"weight": theta}), Episodes((RECIPE,), support, query)
