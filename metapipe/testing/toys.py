"""Toy problems and a toy model: small, smooth, in double precision."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..episode import Episodes, Samples, Task
from ..model import Model
from ..numerics.normalisation import BatchNorm
from ..plugin import DropShare
from ..problem import Statistics


class TinyModel(Model):
    """A small smooth network, quick in double precision."""

    width: int = 16
    """Hidden units."""

    normalise: bool = False
    """Batch normalisation, with a learned scale, of the hidden units."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, width)."""
        layers = OrderedDict[str, nn.Module](
            flatten=nn.Flatten(),
            hidden=nn.Linear(math.prod(shape), self.width),
        )
        if self.normalise:
            layers["norm"] = BatchNorm(self.width, statistics)
        layers["tanh"] = nn.Tanh()
        if outputs is not None:
            layers["head"] = nn.Linear(self.width, outputs)
        return nn.Sequential(layers)


class DroppingModel(TinyModel):
    """The tiny network with dropout on its features, whatever the statistics.

    No model for use: a model's batch statistics promise the same function in training
    and evaluation.
    """

    share: DropShare = 0.5
    """Of the hidden units."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """(n, *shape) -> (n, outputs), or features (n, width)."""
        features = super().build(shape, None, statistics)
        layers = OrderedDict(features.named_children())
        layers["dropout"] = nn.Dropout(self.share)
        if outputs is not None:
            layers["head"] = nn.Linear(self.width, outputs)
        return nn.Sequential(layers)


def blobs(
    tasks: int = 4,
    *,
    ways: int = 3,
    shots: int = 2,
    queries: int = 4,
    shape: tuple[int, ...] = (6,),
    seed: int = 0,
) -> Episodes:
    """Easy classification episodes: classes are well separated Gaussian blobs.

    Double precision; labels have no order, so only the support set tells them.
    No class is in two episodes.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(each: int) -> Tensor:
        size = (tasks, ways, each, *shape)
        return torch.randn(size, generator=generator, dtype=torch.float64)

    centres = normal(1)

    def samples(each: int) -> Samples:
        noise = normal(each)
        inputs = (centres + 0.1 * noise).flatten(1, 2)
        labels = torch.arange(ways).repeat_interleave(each).repeat(tasks, 1)
        return Samples(inputs, labels)

    recipes = tuple(
        Task("blobs", "train", seed, i, ways, shots, queries) for i in range(tasks)
    )
    classes = torch.arange(tasks * ways).reshape(tasks, ways)
    return Episodes(recipes, samples(shots), samples(queries), classes)


def waves(
    tasks: int = 4, *, shots: int = 5, queries: int = 8, seed: int = 0
) -> Episodes:
    """Regression episodes: sine waves of varying amplitude, double precision."""
    generator = torch.Generator().manual_seed(seed)
    amplitude = 1 + torch.rand(tasks, 1, 1, generator=generator, dtype=torch.float64)

    def samples(points: int) -> Samples:
        x = 6 * torch.rand(tasks, points, 1, generator=generator, dtype=torch.float64)
        return Samples(x - 3, amplitude * torch.sin(x - 3))

    recipes = tuple(
        Task("waves", "train", seed, i, 1, shots, queries) for i in range(tasks)
    )
    return Episodes(recipes, samples(shots), samples(queries))
