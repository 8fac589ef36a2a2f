"""An ordinary classifier of all training classes, and the layer that ends it.

What methods train that take the features of a plain classifier and fit a task's own
layer, or anything else, on them.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe import Episodes, Meta, Metrics, Params, Problem, Step, UnsupportedError
from metapipe.data import fixed_order
from metapipe.numerics import apply, batch_loss, embed, gradient, own, within
from metapipe_plugins.parts.heads.features import feature_length

LAST = "classifier"
"""The layer over all training classes, among the meta-parameters."""


class Last(Protocol):
    """The last layer: its parameters, and its logits."""

    def start(self, ways: int, like: Tensor) -> Params:
        """New parameters for features of the length of `like` (d,)."""

    def logits(self, params: Params, features: Tensor) -> Tensor:
        """(..., d) -> (..., ways)."""


class Linear:
    """A linear layer."""

    def start(self, ways: int, like: Tensor) -> Params:
        """Small and always the same: as `nn.Linear` is, but from a fixed sequence."""
        weight = _spread(ways, like)
        return {"weight": weight, "bias": weight.new_zeros(ways)}

    def logits(self, params: Params, features: Tensor) -> Tensor:
        """(..., d) -> (..., ways)."""
        return features @ params["weight"].mT + params["bias"]


class Cosine:
    """Scaled cosines to a vector per class, whose length is learned apart."""

    def start(self, ways: int, like: Tensor) -> Params:
        """Directions from a fixed sequence. They turn the faster the shorter they are:
        as long as the reference's, about 0.58."""
        weight = _spread(ways, like)
        return {"weight": weight, "length": weight.new_ones(ways)}

    def logits(self, params: Params, features: Tensor) -> Tensor:
        """(..., d) -> (..., ways); the reference's scale is 2 up to 200 classes."""
        directions = F.normalize(params["weight"], dim=-1)
        scale = 2.0 if len(directions) <= 200 else 10.0
        cosines = F.normalize(features, dim=-1) @ directions.mT
        return scale * params["length"] * cosines


class Classifier(nn.Module):
    """Features, and the parameters of the last layer."""

    def __init__(self, features: nn.Module, last: Last, problem: Problem) -> None:
        super().__init__()
        self.features = features
        length = feature_length(features, problem.shape)
        start = last.start(max(problem.class_count, 1), torch.empty(length))
        self.classifier = nn.ParameterDict(
            {name: nn.Parameter(value) for name, value in start.items()}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> features (n, d)."""
        return self.features(inputs)  # type: ignore[no-any-return]


def require_classes(problem: Problem) -> None:
    """Raise UnsupportedError if nobody knows how many classes there are to train on."""
    if not problem.class_count:
        raise UnsupportedError(
            "this data set does not say how many classes it has, and this method "
            "trains to tell them all apart: choose another --plugin"
        )


def classifier_step(
    network: nn.Module, meta: Meta, episodes: Episodes, last: Last
) -> Step:
    """The gradient of the cross-entropy over all training classes, of all images."""
    state = {name: value.clone() for name, value in meta.state.items()}
    targets = global_labels(episodes)

    def loss(params: Params) -> tuple[Tensor, Metrics]:
        sets = (episodes.support.inputs, episodes.query.inputs)
        mine = {k: p for k, p in params.items() if not k.startswith(f"{LAST}.")}
        parts = embed(network, mine, *sets, state=state, training=True)
        logits = last.logits(within(params, LAST), torch.cat(parts, 1))
        return batch_loss(logits, targets)

    grads, metrics = gradient(loss, meta.params)
    return Step(grads, metrics, state)


def features_of(network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
    """Features (n, d) of inputs (n, *shape), by the meta-parameters."""
    return apply(network, own(network, meta.params), inputs, state=meta.state)


def global_labels(episodes: Episodes) -> Tensor:
    """(T, support + queries): the training class of each image."""
    if episodes.class_indices is None:
        raise UnsupportedError("the episodes do not say which classes they are of")
    labels = torch.cat([episodes.support.targets, episodes.query.targets], 1)
    return episodes.class_indices.gather(1, labels)


def _spread(ways: int, like: Tensor) -> Tensor:
    """(ways, d): vectors of entries within 1 / sqrt(d), always the same."""
    if like.is_meta:
        return like.new_empty(ways, len(like))
    values = torch.from_numpy(fixed_order(ways * len(like))).to(like)
    values = 2 * values / max(ways * len(like) - 1, 1) - 1
    return values.reshape(ways, len(like)) / math.sqrt(len(like))
