"""Baseline and Baseline++: an ordinary classifier, whose last layer is made anew.

Chen, Liu, Kira, Wang & Huang, "A Closer Look at Few-shot Classification", ICLR 2019,
section 3. The features are trained to tell all training classes apart; a task then
fits a new layer on them, linear or by cosine. The two differ by that layer.
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
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
    UnsupportedError,
    hookimpl,
)
from metapipe.functional import (
    apply,
    batch_loss,
    embed,
    gradient,
    inner_loop,
    meta_of,
    own,
    task_loss,
)
from metapipe.mapping import TaskMap
from metapipe.sampling import fixed_order
from metapipe_plugins.parts.features import feature_length

LAST = "classifier."
"""Prefix of the layer over all training classes, among the meta-parameters."""


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
        weight = _spread(ways, like) / math.sqrt(len(like))
        return {"weight": weight, "bias": weight.new_zeros(ways)}

    def logits(self, params: Params, features: Tensor) -> Tensor:
        """(..., d) -> (..., ways)."""
        return features @ params["weight"].mT + params["bias"]


class Cosine:
    """Scaled cosines to a vector per class, whose length is learned apart."""

    def start(self, ways: int, like: Tensor) -> Params:
        """Directions from a fixed sequence, of length 1."""
        weight = _spread(ways, like)
        return {"weight": weight, "length": weight.new_ones(ways)}

    def logits(self, params: Params, features: Tensor) -> Tensor:
        """(..., d) -> (..., ways); the reference's scale is 2 up to 200 classes."""
        directions = F.normalize(params["weight"], dim=-1)
        scale = 2.0 if len(directions) <= 200 else 10.0
        cosines = F.normalize(features, dim=-1) @ directions.mT
        return scale * params["length"] * cosines


class Baseline(Algorithm):
    """Train a classifier of all classes; fit a linear layer on its features."""

    paper: ClassVar[str] = (
        "Chen, Liu, Kira, Wang & Huang, ICLR 2019, https://arxiv.org/abs/1904.04232"
    )
    equations: ClassVar[str] = "section 3.2, Baseline: linear layer, frozen features"
    recommended: ClassVar[dict[str, object]] = {
        "model.pooling": "max",
        "model.features": "flatten",
        "model.scale": True,
    }
    last: ClassVar[Last] = Linear()

    test_lr: PositiveFloat = 0.1
    """Step size with which a task's layer is fitted, by gradient descent on the whole
    support set."""

    test_steps: PositiveInt = 100
    """Steps of that."""

    test_decay: NonNegativeFloat = 0.001
    """Weight decay of that: this, halved, times the squared parameters is added to the
    mean loss."""

    statistics: Statistics = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def check(self, trained: Problem, asked: Problem) -> None:
        """Any number of classes will do; but training needs to know them all."""
        if not trained.classes:
            raise UnsupportedError(
                "this data set does not say how many classes it has, and a baseline "
                "is trained to tell them all apart: choose another --plugin"
            )

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, and a layer over all training classes."""
        features = model.build(problem.shape, None, self.statistics)
        return Network(features, self.last, problem)

    def init(self, network: nn.Module) -> Meta:
        """The network's own parameters and running statistics."""
        return meta_of(network)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """A new layer, fitted to the support features."""
        features = _features(network, meta, support.inputs)

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            outputs = self.last.logits(params, features)
            value, metrics = task_loss(outputs, support.targets)
            decay = sum((p**2).sum() for p in params.values())
            return value + self.test_decay / 2 * decay, metrics

        return inner_loop(
            loss,
            self.last.start(ways, features[0].detach()),
            lr=self.test_lr,
            steps=self.test_steps,
            second_order=False,
        )

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """The layer over the training classes has nothing to say of others."""
        return None

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits of the task's layer: (m, ways)."""
        return self.last.logits(adapted, _features(network, meta, inputs))

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the cross-entropy over all training classes, of all images at hand."""
        state = {name: value.clone() for name, value in meta.state.items()}
        targets = _global_labels(episodes)

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            sets = (episodes.support.inputs, episodes.query.inputs)
            mine = {k: p for k, p in params.items() if not k.startswith(LAST)}
            parts = embed(network, mine, *sets, state=state, training=True)
            last = {
                k.removeprefix(LAST): p for k, p in params.items() if k.startswith(LAST)
            }
            logits = self.last.logits(last, torch.cat(parts, 1))
            return batch_loss(logits, targets)

        grads, metrics = gradient(loss, meta.params)
        return Step(grads, metrics, state)


class BaselinePlusPlus(Baseline):
    """Train a classifier of all classes by cosines; fit a cosine layer to a task."""

    equations: ClassVar[str] = "section 3.2, Baseline++: cosine layer, frozen features"
    last: ClassVar[Last] = Cosine()


class Network(nn.Module):
    """Features, and the parameters of the last layer."""

    def __init__(self, features: nn.Module, last: Last, problem: Problem) -> None:
        super().__init__()
        self.features = features
        length = feature_length(features, problem.shape)
        like = next(features.parameters()).new_empty(length)
        start = last.start(max(problem.classes, 1), like)
        self.classifier = nn.ParameterDict(
            {name: nn.Parameter(value) for name, value in start.items()}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, *shape) -> features (n, d)."""
        return self.features(inputs)  # type: ignore[no-any-return]


def _features(network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
    return apply(network, own(network, meta.params), inputs, state=meta.state)


def _global_labels(episodes: Episodes) -> Tensor:
    """(T, support + queries): the training class of each image."""
    if episodes.classes is None:
        raise UnsupportedError("the episodes do not say which classes they are of")
    labels = torch.cat([episodes.support.targets, episodes.query.targets], 1)
    return episodes.classes.to(labels.device).gather(1, labels)


def _spread(ways: int, like: Tensor) -> Tensor:
    """(ways, d): vectors of entries in [-1, 1], always the same."""
    values = torch.from_numpy(fixed_order(ways * len(like))).to(like)
    return (2 * values / max(ways * len(like) - 1, 1) - 1).reshape(ways, len(like))


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer both baselines."""
    register("baseline", Baseline)
    register("baseline++", BaselinePlusPlus)
