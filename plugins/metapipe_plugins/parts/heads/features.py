"""A model without its head: features as vectors."""

from __future__ import annotations

import torch
from torch import nn

from metapipe import Model, Problem, Statistics, UnsupportedError

FLAT_FEATURES: dict[str, object] = {
    "model.pooling": "max",
    "model.features": "flatten",
    "model.scale": True,
}
"""What methods recommend that compare features: the whole last map, pooled."""


def vector_features(
    model: Model, problem: Problem, statistics: Statistics
) -> nn.Module:
    """The model without its head, from (n, *shape) to (n, d).

    Raises UnsupportedError if it gives maps.
    """
    features = model.build(problem.shape, None, statistics)
    feature_length(features, problem.shape)
    return features


def feature_length(features: nn.Module, shape: tuple[int, ...]) -> int:
    """d of a network from (n, *shape) to (n, d), found by trying. Raises
    UnsupportedError if it gives maps."""
    was_training = features.training
    device = next((p.device for p in features.parameters()), None)
    with torch.no_grad():
        found = features.eval()(torch.zeros(2, *shape, device=device)).shape[1:]
    features.train(was_training)
    if len(found) != 1:
        raise UnsupportedError(
            f"the model gives maps {tuple(found)}, and this method wants vectors: use "
            "-s model.features=flatten"
        )
    return int(found[0])
