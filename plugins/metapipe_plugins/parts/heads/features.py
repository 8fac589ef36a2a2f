"""A model without its head: features as vectors."""

from __future__ import annotations

import copy

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
    if _device(features).type != "meta":  # what is opened was tried when it was new
        feature_length(features, problem.shape)
    return features


def model_head(
    model: Model, problem: Problem, statistics: Statistics, length: int
) -> nn.Module:
    """The head that the model has by its own settings, for features of `length`.

    Raises UnsupportedError if it is none for these.
    """
    network = model.build(problem.shape, problem.outputs, statistics)
    head = dict(network.named_children()).get("head")
    if not isinstance(head, nn.Linear) or head.in_features != length:
        raise UnsupportedError(
            f"the model has no linear layer `head` on its {length} features: choose "
            "another model, for example --model conv4"
        )
    return head


def feature_length(features: nn.Module, shape: tuple[int, ...]) -> int:
    """d of a network from (n, *shape) to (n, d). Raises UnsupportedError if it gives
    maps."""
    found = feature_shape(features, shape)
    if len(found) != 1:
        raise UnsupportedError(
            f"the model gives maps {found}, and this method wants vectors: use "
            "-s model.features=flatten"
        )
    return found[0]


def feature_shape(features: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a network makes of one input of that shape, found by trying.

    A network on `meta` is tried with any values: without, torch takes a second or more
    to begin.
    """
    device = _device(features)
    if device.type == "meta":
        device = torch.device("cpu")
        features = copy.deepcopy(features).to_empty(device=device)
    was_training = features.training
    with torch.no_grad(), device:
        found = features.eval()(torch.zeros(2, *shape)).shape[1:]
    features.train(was_training)
    return tuple(found)


def _device(features: nn.Module) -> torch.device:
    return next((p.device for p in features.parameters()), torch.device("cpu"))
