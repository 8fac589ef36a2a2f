"""Methods that learn features and fit a head on them: one call of the network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..algorithm import Meta, Step
from ..episode import Episodes, Metrics, Params
from .functional import apply, gradient, own
from .losses import batch_loss

Head = Callable[[Params, Tensor, Tensor, Tensor], Tensor]
"""Logits (T, m, ways) from meta-parameters, features of T support sets (T, n, d), their
labels (T, n) and features of T query sets (T, m, d)."""


def embed(
    network: nn.Module,
    params: Params,
    *sets: Tensor,
    state: Params | None = None,
    training: bool = False,
) -> list[Tensor]:
    """Features of sets of inputs of T tasks, all in one call of the network.

    Each set is (T, n, *shape) and comes back as (T, n, d). For `state` and `training`
    see `apply`; batch statistics are those of all inputs together.
    """
    inputs = torch.cat([inputs.flatten(0, 1) for inputs in sets])
    features = apply(network, params, inputs, state=state, training=training)
    counts = [inputs.shape[0] * inputs.shape[1] for inputs in sets]
    parts = torch.split(features, counts)
    return [
        part.reshape(*inputs.shape[:2], -1)
        for part, inputs in zip(parts, sets, strict=True)
    ]


def head_step(
    network: nn.Module,
    meta: Meta,
    episodes: Episodes,
    head: Head,
    *,
    smoothing: float = 0.0,
) -> Step:
    """The meta-gradient of a method that learns features and fits a head on them.

    All images of the meta-batch are embedded in one call, with batch statistics; the
    loss is the cross-entropy of the queries' logits that `head` computes. With label
    `smoothing` the other classes share that much of the label.
    """
    state = {name: value.clone() for name, value in meta.state.items()}

    def loss(params: Params) -> tuple[Tensor, Metrics]:
        sets = (episodes.support.inputs, episodes.query.inputs)
        mine = own(network, params)
        support, query = embed(network, mine, *sets, state=state, training=True)
        logits = head(params, support, episodes.support.targets, query)
        return batch_loss(logits, episodes.query.targets, smoothing=smoothing)

    grads, metrics = gradient(loss, meta.params)
    return Step(grads, metrics, state)
