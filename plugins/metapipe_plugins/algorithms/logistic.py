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
from pydantic import PositiveFloat
from torch import Tensor

from metapipe import Params, Register, hookimpl
from metapipe_plugins.parts.heads.task_head import TaskHead

STEPS = 1000
"""Of the solver at the most; a task of few examples needs a few dozens."""


class Logistic(TaskHead):
    """Fit a multinomial logistic regression to features of length one."""

    paper: ClassVar[str] = "Pedregosa et al., JMLR 2011, https://scikit-learn.org"
    equations: ClassVar[str] = "scikit-learn's LogisticRegression, fitted per task"

    power: bool = False
    """Whether features are first replaced by their roots; those of texts need not."""

    C: PositiveFloat = 10.0
    """Weight of the examples against the penalty, as scikit-learn has it."""

    def fit(self, vectors: Tensor, labels: Tensor, ways: int) -> Params:
        """`weight` (ways, d) and `bias` (ways,)."""
        from sklearn.linear_model import LogisticRegression

        classifier = LogisticRegression(C=self.C, max_iter=STEPS)
        with warnings.catch_warnings(action="ignore"):  # as near as the steps bring it
            classifier.fit(vectors.cpu().double().numpy(), labels.cpu().numpy())
        weight, bias = classifier.coef_, classifier.intercept_
        if len(bias) == 1:  # two classes: the score of the second over the first
            weight, bias = (np.concatenate([-v, v]) / 2 for v in (weight, bias))
        return {
            "weight": torch.from_numpy(weight).to(vectors),
            "bias": torch.from_numpy(bias).to(vectors),
        }


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer logistic regression."""
    register("logistic", Logistic)
