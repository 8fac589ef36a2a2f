"""A head that learns a task from vectors alone: what such heads share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Params,
    Samples,
    Statistics,
    Step,
    TaskMap,
    UnsupportedError,
)
from metapipe.numerics import apply, of_length_one, own


class TaskHead(Algorithm):
    """Scores that are linear in features of length one, fitted to each task anew."""

    any_ways: ClassVar[bool] = True
    needs_training: ClassVar[bool] = False

    power: bool = True
    """Whether features are first replaced by their roots, which keeps a few large ones
    from deciding alone."""

    statistics: Statistics = "running"
    """Each query is on its own."""

    @abstractmethod
    def fit(self, vectors: Tensor, labels: Tensor, ways: int) -> Params:
        """`weight` (ways, d) and `bias` (ways,), from vectors (n, d) of length one and
        labels (n,); in double precision where the device has it."""

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """`weight` (ways, d) and `bias` (ways,); has no gradient."""
        features = self._features(network, meta, support.inputs).detach()
        wide = torch.float32 if features.device.type == "mps" else torch.float64
        vectors = of_length_one(features.to(wide), roots=self.power)
        fitted = self.fit(vectors, support.targets, ways)
        return {name: tensor.to(features) for name, tensor in fitted.items()}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits (m, ways)."""
        vectors = self.vectors(network, meta, inputs)
        return F.linear(vectors, adapted["weight"], adapted["bias"])

    def vectors(self, network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
        """(m, d): what the scores are linear in."""
        features = self._features(network, meta, inputs)
        return of_length_one(features, roots=self.power)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """There is none. Raises UnsupportedError."""
        raise UnsupportedError(f"{type(self).__name__.lower()} has nothing to train")

    def _features(self, network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
        return apply(network, own(network, meta.params), inputs, state=meta.state)
