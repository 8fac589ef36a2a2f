"""R2-D2: ridge regression on learned features, differentiated through its closed form.

Bertinetto, Henriques, Torr & Vedaldi, "Meta-learning with Differentiable Closed-form
Solvers", ICLR 2019. Equation numbers below are those of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
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
    hookimpl,
)
from metapipe.numerics import apply, head_step, own
from metapipe_plugins.parts.heads.features import FLAT_FEATURES, vector_features
from metapipe_plugins.parts.heads.ridge import ridge_regression

HEAD = "adjust."
"""Prefix of the head's scalars."""

SCALE, SHIFT, PENALTY = HEAD + "scale", HEAD + "shift", HEAD + "log_penalty"


class R2D2(Algorithm):
    """Fit a ridge regression to the one-hot labels of the support features."""

    paper: ClassVar[str] = (
        "Bertinetto, Henriques, Torr & Vedaldi, ICLR 2019, "
        "https://arxiv.org/abs/1805.08136"
    )
    equations: ClassVar[str] = (
        "eq. 4 and 5 (ridge by Woodbury), eq. 6 (adjusted logits)"
    )
    departures: ClassVar[str] = (
        "the penalty is learned, from 1 on; the released code keeps it at 50"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True

    penalty: PositiveFloat = 1.0
    """Ridge penalty (lambda) at the start; the paper's 50 is for its 3,584 features."""

    learn_penalty: bool = True
    """Whether the penalty is a meta-parameter; the released code keeps it constant."""

    scale: PositiveFloat = 10.0
    """Scale of the logits (alpha) at the start; a meta-parameter, as is their shift."""

    scale_rate: PositiveFloat = 1.0
    """Step size of scale, shift and penalty, as a multiple of training.lr: a short
    training with small steps hardly moves them."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head."""
        return vector_features(model, problem, self.statistics)

    def groups(self) -> Sequence[Group]:
        """The head's scalars, at a rate of their own. Decaying the logarithm of the
        penalty would draw the penalty towards 1."""
        rate = self.scale_rate
        return (Group(PENALTY, rate, decays=False), Group(HEAD, rate))

    def init(self, network: nn.Module) -> Meta:
        """The network's parameters, and three scalars of the head."""
        meta = Meta.of(network)
        like = next(iter(meta.params.values()), torch.empty(0))
        head = {SCALE: like.new_tensor(self.scale), SHIFT: like.new_tensor(0.0)}
        if self.learn_penalty:
            head[PENALTY] = like.new_tensor(math.log(self.penalty))
        return Meta({**meta.params, **head}, meta.state)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """The regression's weights (eq. 4), the last row for the constant 1: (d + 1,
        ways)."""
        features = apply(
            network, own(network, meta.params), support.inputs, state=meta.state
        )
        return {"weights": self._fit(meta.params, features, support.targets, ways)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Scaled and shifted predictions of the regression (eq. 6): (m, ways)."""
        features = apply(network, own(network, meta.params), inputs, state=meta.state)
        return _logits(meta.params, features, adapted["weights"])

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' cross-entropy (algorithm 1), through the closed form."""
        ways = episodes.tasks[0].ways

        def head(
            params: Params, support: Tensor, labels: Tensor, query: Tensor
        ) -> Tensor:
            return _logits(params, query, self._fit(params, support, labels, ways))

        return head_step(network, meta, episodes, head)

    def _fit(
        self, params: Params, features: Tensor, labels: Tensor, ways: int
    ) -> Tensor:
        """Features and labels are divided by the root of their number, so that the
        penalty means the same for any number of shots."""
        root = math.sqrt(features.shape[-2])
        penalty = (
            params[PENALTY].exp()
            if self.learn_penalty
            else features.new_tensor(self.penalty)
        )
        targets = F.one_hot(labels, ways).to(features.dtype) / root
        return ridge_regression(_with_one(features) / root, targets, penalty)


def _logits(params: Params, features: Tensor, weights: Tensor) -> Tensor:
    return params[SCALE] * (_with_one(features) @ weights) + params[SHIFT]


def _with_one(features: Tensor) -> Tensor:
    """(..., n, d) -> (..., n, d + 1)."""
    return torch.cat([features, torch.ones_like(features[..., :1])], -1)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer R2-D2."""
    register("r2d2", R2D2)
