"""What the scikit-learn estimators have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..errors import UnsupportedError, did_you_mean
from ..runs.workspace import AnyPath, Workspace
from ..training.evaluation import QueryMode
from .adaptable import Adaptable
from .adapted_file import save
from .items import (
    encoded,
    is_items,
    is_table,
    require_pictures,
    require_several,
)
from .open_runs import kept_open
from .trained_run import TrainedRun


class FewShot(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators are: what is adapted, and inputs it understands."""

    def __init__(
        self,
        run: int | str | None = None,
        *,
        db: str | None = None,
        checkpoint: str = "best",
        prediction: QueryMode = "alone",
        settings: dict[str, Any] | None = None,
        project: AnyPath | None = None,
        plugin_paths: Sequence[AnyPath] | AnyPath = (),
    ) -> None:
        """
        run: number or name of a run; "latest" if not given.
        db: URL of its task store; that of the project if not given.
        checkpoint: "best" or "latest".
        prediction: whether batch statistics see one query at a time, or all together.
        settings: settings of the run's algorithm to change, such as {"test_steps": 3},
            or {"algorithm.test_steps": 3} as elsewhere.
        project: its folder or config file; that around the working directory if not
            given.
        plugin_paths: plugin files, beside those of the project.
        """
        self.run = run
        self.db = db
        self.checkpoint = checkpoint
        self.prediction = prediction
        self.settings = settings
        self.project = project
        self.plugin_paths = plugin_paths

    def save(self, path: str | Path) -> None:
        """Write the adapted model for `metapipe predict` and `metapipe export`."""
        check_is_fitted(self, "adapted_")
        save(self.adapted_, Path(path))

    def _trained(self) -> TrainedRun:
        _require_known("checkpoint", self.checkpoint, ("best", "latest"))
        _require_known("prediction", self.prediction, get_args(QueryMode))
        run = "latest" if self.run is None else self.run
        settings = {
            name.removeprefix("algorithm."): value
            for name, value in (self.settings or {}).items()
        }
        with Workspace.at(self.project, self.db, self.plugin_paths) as workspace:
            return kept_open(workspace, workspace.store, run, self.checkpoint, settings)

    def _inputs(self, X: Any, opened: Adaptable, *, reset: bool) -> Tensor:
        """Inputs (n, *shape): from rows (n, d) of numbers, arrays (n, *shape), or
        whatever the encoder takes, such as paths, pictures and rows by column."""
        shape = opened.problem.shape
        require_several(X)
        if is_items(X) or is_table(X, opened.encoder):
            if reset:
                self.__dict__.pop("n_features_in_", None)
                self.__dict__.pop("feature_names_in_", None)
            return encoded(X, opened.require_encoder())
        array = np.asarray(X) if not hasattr(X, "columns") else X
        if getattr(array, "ndim", 2) > 2:
            return self._arrays(np.asarray(array), opened)
        values = validate_data(self, X, reset=reset, dtype=np.float32)
        if values.shape[1] != np.prod(shape):
            raise UnsupportedError(
                f"X has {values.shape[1]} features, and {opened} takes "
                f"inputs of shape {shape}"
            )
        return torch.from_numpy(np.ascontiguousarray(values)).reshape(-1, *shape)

    def _arrays(self, array: NDArray[Any], opened: Adaptable) -> Tensor:
        """Arrays as they are if they have the shape, else pictures to be encoded."""
        shape = opened.problem.shape
        if array.shape[1:] == shape and array.dtype.kind == "f":
            if not np.isfinite(array).all():
                raise ValueError("X contains NaN or infinity")
            pictures = opened.encoder is not None and opened.encoder.form == "file"
            if pictures and array.size and not 0 <= array.min() <= array.max() <= 1:
                raise ValueError(
                    f"X has values from {array.min():g} to {array.max():g}: pictures "
                    "in floats are within [0, 1]; in [0, 255] they are uint8"
                )
            return torch.from_numpy(array.astype(np.float32))
        require_pictures(array)
        return encoded(array, opened.require_encoder())

    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self, "adapted_")
        inputs = self._inputs(X, self._opened, reset=False)
        outputs: Tensor = self.adapted_.outputs(inputs, self.prediction)
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _require_known(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} = {value!r}; {did_you_mean(str(value), known)}")
