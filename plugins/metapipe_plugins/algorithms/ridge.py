"""Ridge regression on vectors of a backbone: the head of R2-D2, without training.

Hoerl & Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems",
Technometrics 1970; to the one-hot labels, as Bertinetto et al. (ICLR 2019) do.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from metapipe import Params, Register, hookimpl
from metapipe_plugins.parts.heads.ridge import ridge_regression
from metapipe_plugins.parts.heads.task_head import TaskHead


class Ridge(TaskHead):
    """Fit a ridge regression, with a free intercept, to the one-hot labels."""

    paper: ClassVar[str] = (
        "Hoerl & Kennard, Technometrics 1970; "
        "Bertinetto et al., ICLR 2019, https://arxiv.org/abs/1805.08136"
    )
    equations: ClassVar[str] = "eq. 4 and 5 of the latter (ridge by Woodbury)"
    departures: ClassVar[str] = (
        "the intercept is not penalised, as in scikit-learn's Ridge; nothing is learned"
    )

    penalty: PositiveFloat = 0.1
    """Of the squared weights (lambda), for vectors of length one; chosen on validation
    classes. What the backbone knows likes 0.3 to 1, what is foreign to it less."""

    scale: PositiveFloat = 10.0
    """Of the logits, which are the regression's predictions times this."""

    def fit(self, vectors: Tensor, labels: Tensor, ways: int) -> Params:
        """`weight` (ways, d) and `bias` (ways,)."""
        targets = F.one_hot(labels, ways).to(vectors)
        centre, share = vectors.mean(0), targets.mean(0)
        penalty = vectors.new_tensor(self.penalty)
        weights = ridge_regression(vectors - centre, targets - share, penalty)
        return {
            "weight": self.scale * weights.mT,
            "bias": self.scale * (share - centre @ weights),
        }


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer ridge regression."""
    register("ridge", Ridge)
