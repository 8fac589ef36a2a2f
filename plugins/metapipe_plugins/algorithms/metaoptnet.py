"""MetaOptNet: a convex classifier on learned features, differentiated at its optimum.

Lee, Maji, Ravichandran & Soatto, "Meta-Learning with Differentiable Convex
Optimization", CVPR 2019. Equation numbers below are those of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Group,
    Meta,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    UnsupportedError,
    hookimpl,
)
from metapipe.numerics import apply, head_step, own
from metapipe_plugins.parts.heads.features import FLAT_FEATURES, vector_features
from metapipe_plugins.parts.heads.ridge import ridge_regression
from metapipe_plugins.parts.heads.svm import crammer_singer

SCALE = "head.scale"


class MetaOptNet(Algorithm):
    """Fit a support vector machine, or a ridge regression, to the support features."""

    paper: ClassVar[str] = (
        "Lee, Maji, Ravichandran & Soatto, CVPR 2019, https://arxiv.org/abs/1904.03758"
    )
    equations: ClassVar[str] = (
        "eq. 10 (dual of the SVM), gradients by the implicit function theorem (section "
        "3.2), eq. 12 (scaled logits)"
    )
    departures: ClassVar[str] = (
        "in training, support and query images are normalised as one batch, where the "
        "authors' code embeds them one after the other; 15 solver iterations at test, "
        "where it has 3; the kernel's diagonal and the scale begin at 50 and 5, where "
        "it has 1 and 1; DropBlock's ramp counts training passes alone"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True

    head: Literal["svm", "ridge"] = "svm"
    """The convex learner: the multi-class SVM of Crammer and Singer, or ridge
    regression on one-hot labels."""

    c: PositiveFloat = 0.1
    """Largest dual coefficient of the SVM (C); smaller regularises more."""

    kernel_ridge: float = Field(default=50.0, ge=0)
    """Added to the diagonal of the SVM's kernel: a penalty of squared slack, as lambda
    is the ridge's. The reference code's 1, beside its 16,000 features, is nearly none:
    few examples then have a share in the gradient, and learning is slow."""

    penalty: PositiveFloat = 50.0
    """Penalty of the ridge regression (lambda)."""

    scale: PositiveFloat = 5.0
    """Scale of the logits (gamma) at the start; a meta-parameter. The reference begins
    at 1, and trains twenty times as long and more."""

    scale_rate: PositiveFloat = 1.0
    """Step size of the scale, as a multiple of training.lr: the only temperature, which
    a short training with small steps hardly moves."""

    iterations: PositiveInt = 15
    """Interior-point iterations of the SVM; 15 reach the optimum, which the gradient
    takes for granted."""

    test_iterations: PositiveInt = 15
    """The same when evaluated or used; the reference stops at 3, short of it."""

    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each training label that the other classes get; 0.1 with ResNet-12 on
    mini-ImageNet."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def check(self, trained: Problem, asked: Problem) -> None:
        """Any number of classes will do; label smoothing leaves the true class the
        largest share."""
        most = 1 - 1 / trained.outputs
        if self.smoothing and self.smoothing >= most:
            raise UnsupportedError(
                f"algorithm.smoothing = {self.smoothing} leaves the true one of "
                f"{trained.outputs} classes no more than the others: give less than "
                f"{most:.2g}"
            )

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head."""
        return vector_features(model, problem, self.statistics)

    def groups(self) -> Sequence[Group]:
        """The scale, at a rate of its own."""
        return (Group(SCALE, rate=self.scale_rate),)

    def init(self, network: nn.Module) -> Meta:
        """The network's parameters, and the scale of the logits (gamma)."""
        meta = Meta.of(network)
        scale = next(iter(meta.params.values()), torch.empty(0)).new_tensor(self.scale)
        return Meta({**meta.params, SCALE: scale}, meta.state)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The weights of each class: (d, ways)."""
        features = apply(
            network, own(network, meta.params), support.inputs, state=meta.state
        )
        return {
            "weights": self._fit(features, support.targets, ways, self.test_iterations)
        }

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Scaled scores of the classes (eq. 12): (m, ways)."""
        features = apply(network, own(network, meta.params), inputs, state=meta.state)
        return meta.params[SCALE] * (features @ adapted["weights"])

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' cross-entropy (eq. 12), through the optimum."""
        ways = episodes.tasks[0].ways

        def head(
            params: Params, support: Tensor, labels: Tensor, query: Tensor
        ) -> Tensor:
            weights = self._fit(support, labels, ways, self.iterations)
            return params[SCALE] * (query @ weights)

        return head_step(network, meta, episodes, head, smoothing=self.smoothing)

    def _fit(
        self, features: Tensor, labels: Tensor, ways: int, iterations: int
    ) -> Tensor:
        """(..., n, d) and (..., n) -> (..., d, ways)."""
        onehot = F.one_hot(labels, ways).to(features.dtype)
        if self.head == "ridge":
            # Twice: the reference's quadratic program has -2 Y as its linear term.
            penalty = features.new_tensor(self.penalty)
            return 2 * ridge_regression(features, onehot, penalty)
        alpha = crammer_singer(
            features @ features.mT,
            onehot,
            self.c,
            ridge=self.kernel_ridge,
            iterations=iterations,
        )
        return features.mT @ alpha


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer MetaOptNet."""
    register("metaoptnet", MetaOptNet)
