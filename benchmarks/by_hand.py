"""Second-order MAML as one writes it with torch alone, for `devices.py`.

Nothing of metapipe: `functional_call` on a plain network, the inner loop by
`autograd.grad`, and a backward pass a task. No library of others is in it, so it says
nothing of any; libraries that clone modules do about the same work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


def strided(channels: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Four convolutions of stride 2, and the mean over space."""
    blocks = [
        nn.Sequential(
            nn.Conv2d(inside, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width, track_running_stats=False),
            nn.ReLU(),
        )
        for inside in (channels, width, width, width)
    ]
    mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*blocks, mean, nn.Linear(width, outputs))


def pooled(channels: int, outputs: int, side: int, width: int = 64) -> nn.Sequential:
    """Four convolutions, pooled by maximum, and all of the last map."""
    blocks = [
        nn.Sequential(
            nn.Conv2d(inside, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, track_running_stats=False),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        for inside in (channels, width, width, width)
    ]
    length = width * (side // 16) ** 2
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(length, outputs))


def meta_gradient(
    network: nn.Module,
    support: tuple[Tensor, Tensor],
    query: tuple[Tensor, Tensor],
    steps: int,
    lr: float,
) -> list[Tensor]:
    """Of the mean query loss of T tasks: inputs (T, n, *shape) and labels (T, n)."""
    theta = dict(network.named_parameters())
    network.zero_grad()
    tasks = len(support[0])
    for task in range(tasks):
        params = theta
        for _ in range(steps):
            logits = functional_call(network, params, (support[0][task],))
            loss = F.cross_entropy(logits, support[1][task])
            grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {
                name: p - lr * grad
                for (name, p), grad in zip(params.items(), grads, strict=True)
            }
        logits = functional_call(network, params, (query[0][task],))
        (F.cross_entropy(logits, query[1][task]) / tasks).backward()
    return [p.grad for p in network.parameters() if p.grad is not None]
