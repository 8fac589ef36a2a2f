"""Logistic regression on vectors of a backbone: learns a task, and needs no training.

scikit-learn's (Pedregosa et al., JMLR 2011), on vectors of length one. Its penalty is
weaker than the library's own, 10 times: on unit vectors of few examples the default
underfits.
"""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Params,
    Register,
    Samples,
    Statistics,
    Step,
    TaskMap,
    UnsupportedError,
    hookimpl,
)
from metapipe.numerics import apply

STEPS = 1000
"""Of the solver at the most; a task of few examples needs a few dozens."""


class Logistic(Algorithm):
    """Fit a multinomial logistic regression to features of length one."""

    paper: ClassVar[str] = "Pedregosa et al., JMLR 2011, https://scikit-learn.org"
    equations: ClassVar[str] = "scikit-learn's LogisticRegression, fitted per task"
    any_ways: ClassVar[bool] = True
    needs_training: ClassVar[bool] = False

    C: PositiveFloat = 10.0
    """Weight of the examples against the penalty, as scikit-learn has it."""

    statistics: Statistics = "running"
    """Each query is on its own."""

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """`weight` (ways, d) and `bias` (ways,); has no gradient."""
        from sklearn.linear_model import LogisticRegression

        features = self._features(network, meta, support.inputs)
        classifier = LogisticRegression(C=self.C, max_iter=STEPS)
        with warnings.catch_warnings(action="ignore"):  # as near as the steps bring it
            classifier.fit(
                features.detach().cpu().double().numpy(), support.targets.cpu().numpy()
            )
        weight, bias = classifier.coef_, classifier.intercept_
        if len(bias) == 1:  # two classes: the score of the second over the first
            weight, bias = (np.concatenate([-v, v]) / 2 for v in (weight, bias))
        return {
            "weight": torch.from_numpy(weight).to(features),
            "bias": torch.from_numpy(bias).to(features),
        }

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits (m, ways)."""
        features = self._features(network, meta, inputs)
        return F.linear(features, adapted["weight"], adapted["bias"])

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """There is none. Raises UnsupportedError."""
        raise UnsupportedError("logistic has nothing to train")

    def _features(self, network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
        features = apply(network, meta.params, inputs, state=meta.state)
        return F.normalize(features, dim=-1)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer logistic regression."""
    register("logistic", Logistic)
