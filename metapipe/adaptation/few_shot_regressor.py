"""A scikit-learn regressor: `fit` adapts a run to points."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ..data.cell import LARGEST
from ..episode import Samples
from ..errors import UnsupportedError
from .adapted_model import AdaptedModel
from .few_shot import FewShot


class FewShotRegressor(RegressorMixin, FewShot):  # type: ignore[misc]
    """A regressor that learns from a few points, by what a run has meta-learned."""

    adapted_: AdaptedModel

    def fit(self, X: Any, y: Any) -> Self:
        """Adapt to points X (n, d) with values y (n,) or (n, outputs)."""
        trained = self._trained()
        outputs = trained.learner.problem.outputs
        if trained.learner.problem.kind != "regression":
            raise UnsupportedError(
                f"run {trained.row.id} learned classification: use FewShotClassifier"
            )
        inputs = self._inputs(X, trained, reset=True)
        values = np.asarray(y, np.float64)
        self._flat = values.ndim == 1
        values = values.reshape(len(values), -1)
        if values.shape != (len(inputs), outputs):
            raise ValueError(
                f"y has the shape {np.shape(y)}, and ({len(inputs)}, {outputs}) is "
                "wanted"
            )
        if not (np.abs(values) <= LARGEST).all():  # nor what is not a number
            raise ValueError("y contains NaN or infinity, or is above single precision")
        values = values.astype(np.float32)
        self._opened = trained
        self.adapted_ = trained.adapt(Samples(inputs, torch.from_numpy(values)), ())
        return self

    def predict(self, X: Any) -> NDArray[np.float32]:
        """(n,), or (n, outputs) if y had two dimensions."""
        found: NDArray[np.float32] = self._outputs(X).numpy()
        return found[:, 0] if self._flat and found.shape[1] == 1 else found
