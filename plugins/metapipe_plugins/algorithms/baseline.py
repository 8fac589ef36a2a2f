"""Baseline and Baseline++: an ordinary classifier, whose last layer is made anew.

Chen, Liu, Kira, Wang & Huang, "A Closer Look at Few-shot Classification", ICLR 2019,
section 3. The features are trained to tell all training classes apart; a task then
fits a new layer on them, linear or by cosine. The two differ by that layer.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Metrics,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    hookimpl,
)
from metapipe.numerics import inner_loop, task_loss
from metapipe_plugins.parts.heads.classifier import (
    Classifier,
    Cosine,
    Last,
    Linear,
    classifier_step,
    features_of,
    require_classes,
)
from metapipe_plugins.parts.heads.features import FLAT_FEATURES, vector_features


class Baseline(Algorithm):
    """Train a classifier of all classes; fit a linear layer on its features."""

    paper: ClassVar[str] = (
        "Chen, Liu, Kira, Wang & Huang, ICLR 2019, https://arxiv.org/abs/1904.04232"
    )
    equations: ClassVar[str] = "section 3.2, Baseline: linear layer, frozen features"
    departures: ClassVar[str] = (
        "a task's layer is fitted by gradient descent on the whole support set; the "
        "authors use momentum and batches of 4"
    )
    stochastic: ClassVar[bool] = True
    recommended: ClassVar[dict[str, object]] = FLAT_FEATURES
    any_ways: ClassVar[bool] = True
    last: ClassVar[Last] = Linear()

    test_lr: PositiveFloat = 0.1
    """Step size with which a task's layer is fitted, by gradient descent on the whole
    support set."""

    test_steps: PositiveInt = 100
    """Steps of that."""

    test_decay: NonNegativeFloat = 0.001
    """Weight decay of that: this, halved, times the squared parameters is added to the
    mean loss."""

    statistics: Literal["batch", "running"] = "running"
    """Statistics of normalisation layers when predicting: running averages, so that
    each query is on its own; or those of the batch at hand."""

    def check(self, trained: Problem, asked: Problem) -> None:
        """Any number of classes will do; but training needs to know them all."""
        require_classes(trained)

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The model without its head, and a layer over all training classes."""
        features = vector_features(model, problem, self.statistics)
        return Classifier(features, self.last, problem)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """A new layer, fitted to the support features."""
        features = features_of(network, meta, support.inputs)

        def loss(params: Params) -> tuple[Tensor, Metrics]:
            outputs = self.last.logits(params, features)
            value, metrics = task_loss(outputs, support.targets)
            decay = sum((p**2).sum() for p in params.values())
            return value + self.test_decay / 2 * decay, metrics

        return inner_loop(
            loss,
            self.last.start(ways, features[0].detach()),
            lr=self.test_lr,
            steps=self.test_steps,
            second_order=False,
        )

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits of the task's layer: (m, ways)."""
        return self.last.logits(adapted, features_of(network, meta, inputs))

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the cross-entropy over all training classes, of all images at hand."""
        return classifier_step(network, meta, episodes, self.last)


class BaselinePlusPlus(Baseline):
    """Train a classifier of all classes by cosines; fit a cosine layer to a task."""

    equations: ClassVar[str] = "section 3.2, Baseline++: cosine layer, frozen features"
    last: ClassVar[Last] = Cosine()


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer both baselines."""
    register("baseline", Baseline)
    register("baseline++", BaselinePlusPlus)
