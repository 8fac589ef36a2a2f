"""Relation networks: a learned comparison of two sets of feature maps.

Sung, Yang, Zhang, Xiang, Torr & Hospedales, "Learning to Compare: Relation Network for
Few-Shot Learning", CVPR 2018; equation numbers are those of the paper.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Statistics,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import (
    BatchNorm,
    apply,
    batch_loss,
    gradient,
    within,
)
from metapipe_plugins.parts.heads.features import feature_shape


class RelationNet(Algorithm):
    """Classify by a learned relation between a query and each class."""

    paper: ClassVar[str] = (
        "Sung, Yang, Zhang, Xiang, Torr & Hospedales, CVPR 2018, "
        "https://arxiv.org/abs/1711.06025"
    )
    equations: ClassVar[str] = "eq. 1 and 2; maps of a class are summed (section 3.2)"
    departures: ClassVar[str] = (
        "the encoder has two pooled blocks (the authors' code two more that do not "
        "pool), weights begin as torch's do, both modules' gradients are clipped "
        "together, and predictions use running statistics"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = {
        "model.pooling": "max",
        "model.features": "maps",
        "model.blocks": 2,
        "model.scale": True,
        "training.clip": 0.5,
    }
    any_ways: ClassVar[bool] = True

    hidden: PositiveInt = 8
    """Width of the last hidden layer of the relation module."""

    loss: Literal["squared", "cross-entropy"] = "squared"
    """What is descended: squared error of the relations to one-hot labels (eq. 2), or
    cross-entropy of their logits."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand, as the reference code."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, and the relation module on what it gives: maps
        (n, C, h, w) or features (n, d)."""
        features = model.build(problem.shape, None, self.statistics)
        return Network(features, problem.shape, self.hidden, self.statistics)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The sum of each class's maps: (ways, C, h, w)."""
        maps = _run(network, "features", meta.params, support.inputs, meta.state)
        return {"classes": _sums(maps, support.targets, ways)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits of the relations (eq. 1, before the sigmoid): (m, ways)."""
        classes = adapted["classes"]
        query = _run(network, "features", meta.params, inputs, meta.state)
        pairs = _pairs(classes[None], query[None])
        logits = _run(network, "relation", meta.params, pairs, meta.state)
        return logits.reshape(len(query), len(classes))

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the loss of all relations of all queries; each module is called once."""
        state = {name: value.clone() for name, value in meta.state.items()}
        (support, labels), (query, targets) = episodes.support, episodes.query
        tasks, ways = len(labels), episodes.tasks[0].ways
        first = ways * torch.arange(tasks, device=labels.device)[:, None]

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            images = torch.cat([support.flatten(0, 1), query.flatten(0, 1)])
            maps = _run(network, "features", params, images, state, training=True)
            mine, others = maps[: labels.numel()], maps[labels.numel() :]
            classes = _sums(mine, (first + labels).flatten(), tasks * ways)
            pairs = _pairs(
                classes.reshape(tasks, ways, *maps.shape[1:]),
                others.reshape(tasks, -1, *maps.shape[1:]),
            )
            logits = _run(network, "relation", params, pairs, state, training=True)
            logits = logits.reshape(tasks, -1, ways)
            value, metrics = batch_loss(logits, targets)
            if self.loss == "squared":
                wanted = F.one_hot(targets, ways).to(logits.dtype)
                value = F.mse_loss(logits.sigmoid(), wanted)
            return value, metrics

        grads, metrics = gradient(loss, meta.params)
        return Step(grads, metrics, state)


class Network(nn.Module):
    """Features, and the relation module that fits what they give."""

    def __init__(
        self,
        features: nn.Module,
        shape: tuple[int, ...],
        hidden: int,
        statistics: Statistics,
    ) -> None:
        super().__init__()
        self.features = features
        found = feature_shape(features, shape)
        self.relation = (
            _on_maps(found, hidden, statistics)
            if len(found) == 3
            else _on_vectors(found[0], hidden)
        )


def _on_maps(
    maps: tuple[int, ...], hidden: int, statistics: Statistics
) -> nn.Sequential:
    """Two convolutions, pooled where there is something to pool, and two dense layers:
    (n, 2C, h, w) -> (n, 1)."""
    width, *size = maps
    layers = OrderedDict[str, nn.Module]()
    for number, inside in enumerate((2 * width, width), start=1):
        layers[f"conv{number}"] = nn.Conv2d(inside, width, 3, padding=1, bias=False)
        layers[f"norm{number}"] = BatchNorm(width, statistics)
        layers[f"relu{number}"] = nn.ReLU()
        if min(size) > 1:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            size = [side // 2 for side in size]
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(width * size[0] * size[1], hidden)
    layers["relu"] = nn.ReLU()
    layers["score"] = nn.Linear(hidden, 1)
    return nn.Sequential(layers)


def _on_vectors(length: int, hidden: int) -> nn.Sequential:
    """Dense layers: (n, 2d) -> (n, 1)."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            first=nn.Linear(2 * length, length),
            relu1=nn.ReLU(),
            dense=nn.Linear(length, hidden),
            relu2=nn.ReLU(),
            score=nn.Linear(hidden, 1),
        )
    )


def _run(
    network: nn.Module,
    part: Literal["features", "relation"],
    params: Params,
    inputs: Tensor,
    state: Params,
    training: bool = False,
) -> Tensor:
    """One of the modules, with its share of parameters and state."""
    module: nn.Module = getattr(network, part)
    mine, kept = within(params, part), within(state, part)
    return apply(module, mine, inputs, state=kept, training=training)


def _sums(maps: Tensor, labels: Tensor, ways: int) -> Tensor:
    """The sum of each class's maps: (n, *maps) and (n,) -> (ways, *maps)."""
    members = F.one_hot(labels, ways).to(maps.dtype)
    return (members.mT @ maps.flatten(1)).reshape(ways, *maps.shape[1:])


def _pairs(classes: Tensor, query: Tensor) -> Tensor:
    """Each query beside each class: (T, ways, C, ...) and (T, m, C, ...) ->
    (T * m * ways, 2C, ...)."""
    ways, m = classes.shape[1], query.shape[1]
    left = classes[:, None].expand(-1, m, *classes.shape[1:])
    right = query[:, :, None].expand(-1, m, ways, *query.shape[2:])
    return torch.cat([left, right], 3).flatten(0, 2)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer relation networks."""
    register("relationnet", RelationNet)
