"""Scikit-learn estimators: `fit` adapts a run, or a head on a backbone, to examples.

from metapipe import FewShotClassifier

model = FewShotClassifier("latest").fit(paths_of_twenty_pictures, their_labels)
model.predict(["new.jpg"])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..data.cell import LARGEST
from ..data.names import normal_name
from ..episode import Samples
from ..errors import UnsupportedError, UsageError, did_you_mean
from ..experiment.registry import Registry
from ..runs.stored_run import checkpoint_row, trained_run
from ..runs.workspace import AnyPath, Workspace
from ..store import TaskStore
from ..training.evaluation import QueryMode
from .adaptable import Adaptable
from .adapted_model import AdaptedModel, save
from .backbone_run import AUTO, open_backbone
from .items import (
    column,
    encoded,
    is_items,
    is_table,
    require_pictures,
    require_several,
)
from .trained_run import TrainedRun, open_run

KEPT = 4
"""Runs kept open, so that fitting again does not read them again."""


class _FewShot(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
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
        with Workspace.at(self.project, self.db, self.plugin_paths) as workspace:
            row = trained_run(workspace.store, run)
            # which run or checkpoint it is may change
            sha256 = checkpoint_row(workspace.store, row, self.checkpoint).sha256
            settings = {
                name.removeprefix("algorithm."): value
                for name, value in (self.settings or {}).items()
            }
            return _opened(
                workspace.url,
                workspace.registry,
                row.id,
                self.checkpoint,
                json.dumps(settings),
                sha256,
            )

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


class FewShotClassifier(ClassifierMixin, _FewShot):  # type: ignore[misc]
    """A classifier that learns from a few examples: by what a run has meta-learned, or
    by a head on the vectors of a frozen network of others.

    X are things for the encoder: paths, bytes of files, Pillow images, texts, rows of
    a table (a DataFrame with the columns that the run learned from, or a list of
    dictionaries), or arrays (H, W), (H, W, C), (C, H, W) of integers in [0, 255] or
    floats in [0, 1]. Or they are inputs as the network takes them, without any
    transform: rows (n, d), or floats (n, *shape) of the run's own shape.

    After `fit`: `classes_`, and `adapted_`, the learner that has learned the task.
    `partial_fit` adds examples to those, and learns anew from all of them.
    """

    adapted_: AdaptedModel

    def __init__(
        self,
        run: int | str | None = None,
        *,
        backbone: str | None = None,
        head: str = AUTO,
        backbone_settings: dict[str, Any] | None = None,
        db: str | None = None,
        checkpoint: str = "best",
        prediction: QueryMode = "alone",
        settings: dict[str, Any] | None = None,
        project: AnyPath | None = None,
        plugin_paths: Sequence[AnyPath] | AnyPath = (),
    ) -> None:
        """
        run: number or name of a run; "latest" if neither run nor backbone is given.
        backbone: name of a backbone, with which no run is needed.
        head: name of the algorithm that learns from the backbone's vectors; by "auto"
            a discriminant for pictures, a logistic regression for texts.
        backbone_settings: settings of the backbone, such as {"size": 64}.
        settings: settings of the run's algorithm, or of the head, to change.
        db, checkpoint, prediction, project, plugin_paths: as of a FewShotRegressor.
        """
        super().__init__(
            run,
            db=db,
            checkpoint=checkpoint,
            prediction=prediction,
            settings=settings,
            project=project,
            plugin_paths=plugin_paths,
        )
        self.backbone = backbone
        self.head = head
        self.backbone_settings = backbone_settings

    def fit(self, X: Any, y: Any) -> Self:
        """Adapt to examples X of classes y; classes may differ in their number.

        Raises UnsupportedError (a ValueError) if the algorithm cannot do so many
        classes, and UsageError if both a run and a backbone are given.
        """
        self._forget()
        return self._learn(self._read(X, y, reset=True))

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Adapt to examples X of classes y beside those that it has learned from.

        classes: all that may ever come, which then are `classes_`: those without an
            example are never predicted. If they are not given, new ones may come later.

        Raises ValueError for a class that is none of them, and for examples of one
        class only where `classes` were not given.
        """
        first = not hasattr(self, "_seen")
        self._promise(classes, first)
        return self._learn(self._read(X, y, reset=first))

    def _forget(self) -> None:
        """All that was learned."""
        for name in ("_seen", "_promised", "_opened", "adapted_"):
            self.__dict__.pop(name, None)

    def _promise(self, classes: Any, first: bool) -> None:
        """Keep which classes may come. Raises ValueError if others did before."""
        promised = None if classes is None else np.unique(column(classes))
        if first:
            self._promised = promised
        elif promised is not None and not np.array_equal(promised, self.classes_):
            raise ValueError(
                f"classes = {promised.tolist()} are others than before, "
                f"{self.classes_.tolist()}"
            )

    def _read(self, X: Any, y: Any, *, reset: bool) -> tuple[Tensor, NDArray[Any]]:
        """Inputs and labels, after those that were seen before."""
        labels = column(y)
        check_classification_targets(labels)
        if reset:
            self._opened = self._chosen()
        inputs = self._inputs(X, self._opened, reset=reset)
        if len(labels) != len(inputs):
            raise ValueError(f"X has {len(inputs)} examples and y {len(labels)}")
        if reset:
            return inputs, labels
        before, known = self._seen
        if (known.dtype.kind in "OU") != (labels.dtype.kind in "OU"):
            raise ValueError("y mixes names and numbers: make all of them names")
        return torch.cat([before, inputs]), np.concatenate([known, labels])

    def _learn(self, seen: tuple[Tensor, NDArray[Any]]) -> Self:
        """Adapt to all that was seen, once that is two classes."""
        inputs, labels = seen
        found, numbers = np.unique(labels, return_inverse=True)
        promised = getattr(self, "_promised", None)
        if promised is None and len(found) < 2:
            raise ValueError(
                f"y has one class only, {found.tolist()}: two are the least"
            )
        classes = found if promised is None else promised
        if len(strange := np.setdiff1d(found, classes)):
            raise ValueError(f"y has {strange.tolist()}, which are none of the classes")
        names = [normal_name(name) for name in found]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"y has several spellings of '{twice[0]}': make them one")
        self.classes_, self._seen = classes, seen
        self._columns = np.searchsorted(classes, found)
        if len(found) > 1:
            support = Samples(inputs, torch.from_numpy(numbers.astype(np.int64)))
            self.adapted_ = self._opened.adapt(support, names)
        return self

    def _chosen(self) -> Adaptable:
        """The run, or the head on a backbone."""
        if self.backbone is None:
            return self._trained()
        if self.run is not None:
            raise UsageError("give either run or backbone")
        tables = {
            "backbone": self.backbone_settings or {},
            "algorithm": self.settings or {},
        }
        registry = Workspace.at(self.project, self.db, self.plugin_paths).registry
        return open_backbone(registry, self.backbone, self.head, tables)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes): probabilities, in the order of `classes_`."""
        check_is_fitted(self, "adapted_")
        inputs = self._inputs(X, self._opened, reset=False)
        found = self.adapted_.probabilities(inputs, self.prediction).numpy()
        probabilities = np.zeros((len(found), len(self.classes_)))
        probabilities[:, self._columns] = found
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,): the likeliest class of each."""
        likeliest = self._outputs(X).argmax(-1).numpy()
        chosen: NDArray[Any] = self.classes_[self._columns[likeliest]]
        return chosen


class FewShotRegressor(RegressorMixin, _FewShot):  # type: ignore[misc]
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


@lru_cache(KEPT)
def _opened(
    url: str, registry: Registry, run: int, kind: str, settings: str, sha256: str
) -> TrainedRun:
    """The run, kept open under the hash of its checkpoint: going on with the run, or
    another one of its number, is another thing to open."""
    with TaskStore.open(url) as store:
        return open_run(store, registry, run, kind, json.loads(settings))


def _require_known(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} = {value!r}; {did_you_mean(str(value), known)}")
