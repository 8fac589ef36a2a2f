"""Prototypical networks: the nearest class mean in a learned space.

Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017.
Equation numbers below are those of the paper.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import apply, head_step
from metapipe_plugins.parts.heads.features import FLAT_FEATURES, vector_features
from metapipe_plugins.parts.heads.prototypes import prototypes, squared_distances


class ProtoNet(Algorithm):
    """Classify by the nearest mean of the support examples' features."""

    paper: ClassVar[str] = (
        "Snell, Swersky & Zemel, NIPS 2017, https://arxiv.org/abs/1703.05175"
    )
    equations: ClassVar[str] = "eq. 1 and 2, algorithm 1"
    departures: ClassVar[str] = (
        "the best checkpoint is by accuracy, where the authors' code takes the least "
        "loss, and there is no last training on train and validation classes"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head."""
        return vector_features(model, problem, self.statistics)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The prototype of each class (eq. 1): (ways, d)."""
        features = apply(network, meta.params, support.inputs, state=meta.state)
        return {"prototypes": prototypes(features, support.targets, ways)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Negative squared distances to the prototypes (eq. 2): (m, ways)."""
        features = apply(network, meta.params, inputs, state=meta.state)
        return -squared_distances(features, adapted["prototypes"])

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' negative log-probability (algorithm 1); all images of the
        meta-batch are embedded in one call."""
        ways = episodes.tasks[0].ways

        def head(_: Params, support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
            return -squared_distances(query, prototypes(support, labels, ways))

        return head_step(network, meta, episodes, head)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer prototypical networks."""
    register("protonet", ProtoNet)
