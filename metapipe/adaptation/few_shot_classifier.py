"""A scikit-learn classifier: `fit` adapts a run, or a head on a backbone, to examples.

from metapipe import FewShotClassifier

model = FewShotClassifier(backbone="efficientnet-lite0").fit(paths, their_labels)
model.predict(["new.jpg"])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.names import normal_name
from ..episode import Samples
from ..errors import UnsupportedError, UsageError
from ..runs.workspace import AnyPath, Workspace
from ..training.evaluation import QueryMode
from .adaptable import Adaptable
from .adapted_model import AdaptedModel
from .backbone_run import AUTO, open_backbone
from .estimate import Estimate
from .few_shot import FewShot
from .items import (
    column,
)
from .prediction_sets import COVERAGE


class FewShotClassifier(ClassifierMixin, FewShot):  # type: ignore[misc]
    """A classifier that learns from a few examples: by what a run has meta-learned, or
    by a head on the vectors of a frozen network of others.

    X are things for the encoder: paths, bytes of files, Pillow images, texts, rows of
    a table (a DataFrame with the columns that the run learned from, or a list of
    dictionaries), or arrays (H, W), (H, W, C), (C, H, W) of integers in [0, 255] or
    floats in [0, 1]. Or they are inputs as the network takes them, without any
    transform: rows (n, d), or floats (n, *shape) of the run's own shape.

    After `fit`: `classes_`; `adapted_`, the learner that has learned the task; and
    `expected_`, how accurate it is likely to be, told from X and y alone.
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

    @property
    def expected_(self) -> Estimate | None:
        """The accuracy to expect of new examples like those that were given, each of
        which is held out once: `accuracy`, with a 95 % interval from `low` to `high`;
        None if there is one of each class, or where queries are predicted together.

        The first time that this, `predict_proba`, `predict_set` or `typicality` is
        asked for, the task is learned anew, ten times at the most.
        """
        check_is_fitted(self, "adapted_")
        trust = self.adapted_.trust
        together = self.adapted_.learner.transductive(self.prediction)
        return None if trust is None or together else trust.estimate

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes): probabilities, in the order of `classes_`. They are confidences
        if `expected_` is not None."""
        return self._by_class(self._probabilities(X).numpy())

    def predict_set(self, X: Any, coverage: float = COVERAGE) -> list[NDArray[Any]]:
        """For each of n examples the classes, the likeliest first, of which one is the
        right one as often as `coverage`, on the mean over classes.

        Raises UnsupportedError (a ValueError) if the examples that it learned from are
        too few to tell: for 0.9, nine of classes that have several.
        """
        probabilities = self._probabilities(X)
        sets = (
            None
            if self.expected_ is None
            else self.adapted_.sets(probabilities, coverage)
        )
        if sets is None:
            raise UnsupportedError(
                f"sets that hold the right class {coverage:g} of the time need "
                f"{math.ceil(coverage / (1 - coverage) - 1e-9)} examples or more of "
                "classes that have several"
            )
        order = probabilities.argsort(descending=True, stable=True)
        known = self.classes_[self._columns]
        return [
            known[[label for label in row if inside[label]]]
            for row, inside in zip(order.tolist(), sets.tolist(), strict=True)
        ]

    def typicality(self, X: Any) -> NDArray[np.float64]:
        """(n,), within (0, 1]: the share of the examples it learned from that are no
        more like any class. Strangers have little: one in ten of the own has 0.1 or
        less.

        Raises UnsupportedError (a ValueError) if that cannot be told: of fewer than
        three classes, or fewer than five examples of any, or of a method without
        features.
        """
        check_is_fitted(self, "adapted_")
        inputs = self._inputs(X, self._opened, reset=False)
        found = self.adapted_.typicality(inputs)
        if found is None:
            raise UnsupportedError(
                "typicality needs three classes or more, and five examples of each; "
                "and a method that compares features"
            )
        typical: NDArray[np.float64] = found.numpy()
        return typical

    def _probabilities(self, X: Any) -> Tensor:
        """(n, ways): of the classes that have examples."""
        outputs = self._outputs(X)
        return self.adapted_.probabilities_of(outputs, self.prediction)

    def _by_class(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, classes): none for those without examples."""
        probabilities = np.zeros((len(found), len(self.classes_)))
        probabilities[:, self._columns] = found
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,): the likeliest class of each."""
        likeliest = self._outputs(X).argmax(-1).numpy()
        chosen: NDArray[Any] = self.classes_[self._columns[likeliest]]
        return chosen
