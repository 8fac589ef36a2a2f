"""Any scikit-learn classifier, fitted to each task: the honest baseline.

On the features of a classifier of all training classes, or on the inputs as they are.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator
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
    UnsupportedError,
    UsageError,
    hookimpl,
)
from metapipe_plugins.parts.heads.classifier import (
    Classifier,
    Linear,
    classifier_step,
    features_of,
    require_classes,
)
from metapipe_plugins.parts.heads.features import FLAT_FEATURES, vector_features

Array = NDArray[Any]

EXAMPLES = 30
"""Of each class, of the points that a classifier is tried on."""


class Scikit(Algorithm):
    """Fit a scikit-learn classifier to each task, on trained features or raw inputs."""

    paper: ClassVar[str] = "Pedregosa et al., JMLR 2011, https://scikit-learn.org"
    equations: ClassVar[str] = "any classifier of the library, fitted per task"
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True

    classifier: str = "LogisticRegression"
    """Name of the classifier: NearestCentroid, LogisticRegression, SVC, ..."""

    options: dict[str, Any] = Field(default={})
    """Arguments of the classifier, as -s algorithm.options={C=10.0}."""

    features: Literal["embedding", "inputs"] = "embedding"
    """What it is fitted on: features of the model, which is trained to tell all
    training classes apart; or inputs as they are, which need no training."""

    normalise: bool = True
    """Divide each feature vector by its length first."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    @field_validator("classifier")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in classifiers():
            raise ValueError(f"scikit-learn has no classifier '{name}'")
        return name

    def check(self, trained: Problem, asked: Problem) -> None:
        """Any number of classes will do; training needs to know them all. What the
        classifier's options mean shows when it is fitted: here to points at random."""
        require_classes(trained)
        labels = np.arange(asked.outputs).repeat(EXAMPLES)
        points = np.random.default_rng(0).normal(size=(len(labels), 2))
        try:
            with warnings.catch_warnings(action="ignore"):
                self.estimator().fit(np.abs(points), labels)
        except (TypeError, ValueError) as error:
            raise UsageError(f"algorithm.options: {_first_line(error)}") from error

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, or nothing, and a layer over all classes."""
        features = (
            nn.Flatten()
            if self.features == "inputs"
            else vector_features(model, problem, self.statistics)
        )
        return Classifier(features, Linear(), problem)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Features of the support set (n, d), and its labels, one-hot (n, ways)."""
        features = self._features(network, meta, support.inputs)
        return {"features": features, "labels": F.one_hot(support.targets, ways)}

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """The classifier's scores (m, ways), fitted here: a classifier is no tensor."""
        features = self._features(network, meta, inputs)
        return _fitted(adapted["features"], adapted["labels"], features, self)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the cross-entropy over all training classes, of all images at hand."""
        return classifier_step(network, meta, episodes, Linear())

    def estimator(self) -> Any:
        """A new classifier; always the same seed, if it takes one."""
        cls = classifiers()[self.classifier]
        seed = {"random_state": 0} if "random_state" in cls().get_params() else {}
        return cls(**{**seed, **self.options})

    def _features(self, network: nn.Module, meta: Meta, inputs: Tensor) -> Tensor:
        features = features_of(network, meta, inputs)
        return F.normalize(features, dim=-1) if self.normalise else features


class Fitted(torch.autograd.Function):
    """Scores of a classifier fitted to a support set: no gradient, and a loop where
    tasks are mapped by vmap."""

    @staticmethod
    def forward(
        support: Tensor, labels: Tensor, query: Tensor, algorithm: Scikit
    ) -> Tensor:
        """(n, d), one-hot (n, ways) and (m, d) -> (m, ways)."""
        if support.device.type == "meta":
            return query.new_empty(len(query), labels.shape[-1])
        arrays = (t.detach().cpu().numpy() for t in (support, labels.argmax(-1), query))
        scores, said = map(torch.from_numpy, _outcome(algorithm, *arrays))
        if scores.ndim == 1:  # two classes: the score of the second
            scores = torch.stack([-scores, scores], 1)
        return _agreeing(scores, said).to(query)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Nothing to keep."""
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, ...]:
        """A fitted classifier has no gradient."""
        return (None,) * 4

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        """One task after the other."""
        *tensors, algorithm = args
        rows = [
            tensor.movedim(dim, 0) if dim is not None else [tensor] * info.batch_size
            for tensor, dim in zip(tensors, in_dims[:-1], strict=True)
        ]
        scores = [_fitted(*row, algorithm) for row in zip(*rows, strict=True)]
        return torch.stack(scores), 0


def _fitted(*arguments: Any) -> Tensor:
    return cast(Tensor, Fitted.apply(*arguments))  # type: ignore[no-untyped-call]


def _outcome(
    algorithm: Scikit, support: Array, labels: Array, query: Array
) -> tuple[Array, Array]:
    """Scores of the queries, (m, ways) or (m,) for two classes, and what the library
    predicts, (m,). Raises UnsupportedError if the support set is not to its liking."""
    model = algorithm.estimator()
    # What a task of five examples gives rise to would be said for each task.
    with warnings.catch_warnings(action="ignore"):
        try:
            model.fit(support, labels)
            return _scores(model, query), model.predict(query)
        except ValueError as error:
            raise UnsupportedError(
                f"scikit-learn's {algorithm.classifier} cannot be fitted to a support "
                f"set of {len(labels)}: {_first_line(error)}"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


@cache
def classifiers() -> dict[str, Any]:
    """Classifiers of scikit-learn that are made without arguments, by name."""
    # here: it imports all of the library
    from sklearn.utils import all_estimators

    return {
        name: cls
        for name, cls in all_estimators("classifier")
        if not getattr(cls, "_required_parameters", ())
        and name not in ("StackingClassifier", "VotingClassifier", "ClassifierChain")
    }


def _scores(model: Any, query: Any) -> Any:
    """What is the larger, the likelier: (m, ways), or (m,) for two classes."""
    if hasattr(model, "centroids_"):  # its own scores divide by a spread: 0 of one
        from sklearn.metrics import pairwise_distances

        return -pairwise_distances(query, model.centroids_, metric=model.metric)
    if hasattr(model, "decision_function"):
        return model.decision_function(query)
    if hasattr(model, "predict_log_proba"):
        return model.predict_log_proba(query).clip(min=-100)
    return model.predict_proba(query)


def _agreeing(scores: Tensor, said: Tensor) -> Tensor:
    """Scores (m, ways) whose largest is that of the class (m,) the library predicts,
    which may go by votes or by priors that the scores do not know."""
    place = said[:, None].long()
    top = scores.max(-1, keepdim=True).values
    wins = torch.nextafter(top, torch.full_like(top, torch.inf))
    other = scores.argmax(-1, keepdim=True) != place
    return scores.scatter(1, place, torch.where(other, wins, scores.gather(1, place)))


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer scikit-learn's classifiers."""
    register("sklearn", Scikit)
