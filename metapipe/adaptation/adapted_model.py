"""A learner that has learned one task: all that predicting takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..algorithm import Meta
from ..encoder import Encoder
from ..episode import Params, Samples
from ..errors import MetapipeError, UnsupportedError
from ..numerics.functional import apply, own
from ..numerics.threads import computing_with
from ..training.activations import fitting
from ..training.evaluation import QueryMode, predict
from ..training.learner import Learner
from ..version import __version__
from .examples import Item
from .numbers import require_numbers
from .prediction_sets import COVERAGE, prediction_sets, threshold
from .trust import Trust, trust

logger = logging.getLogger("metapipe")

BATCH = 256
"""Inputs predicted at a time, or fewer where they are large."""


@dataclass(frozen=True)
class ModelOrigin:
    """Where an adapted learner comes from."""

    algorithm: str
    model: str
    settings: Mapping[str, Any]
    """Of `algorithm` and of `model`."""

    run: str
    """Of which run it was adapted, for people."""

    plugins: Mapping[str, str]
    """Distribution and version of each."""

    backbone: str | None = None
    """Whose vectors it takes, as NAME@HASH; its settings are with the others."""

    licence: str | None = None
    source: str | None = None
    """Of that backbone."""

    created: str | None = None
    """When it was learned, as ISO 8601 has it, in UTC."""

    version: str | None = None
    """Of metapipe."""


@dataclass(frozen=True)
class AdaptedModel:
    """A learner that has learned one task."""

    learner: Learner
    meta: Meta
    params: Params
    """What `Algorithm.adapt` found."""

    support: Samples
    classes: tuple[str, ...]
    """Names by label; empty for regression."""

    encoder: Encoder | None
    origin: ModelOrigin
    items: tuple[Item, ...] = ()
    """What the support was made from, if that is known."""

    carries_weights: bool = False
    """Whether its file has the weights of the backbone."""

    kept_trust: Trust | None = None
    """What its file tells of how far to trust it."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """How many examples of each class it learned from."""

    judged: Mapping[str, Any] | None = None
    """How good it was found to be, and by what: JSON-able."""

    @cached_property
    def trust(self) -> Trust | None:
        """How far to trust what it says of each input alone; None if that cannot be
        known: of one example a class, or of a file of an older version.

        The first time that it is asked for, the task is learned anew for up to ten
        folds of its examples.
        """
        labels = self.support.targets
        if self.kept_trust is not None or not self.classes or not len(labels):
            return self.kept_trust
        examples = Samples(*(tensor.cpu() for tensor in self.support))
        try:
            small = not self.learner.algorithm.needs_training  # a head, on vectors
            with computing_with(1) if small else nullcontext():
                return trust(examples, self._learned, self.features)
        except MetapipeError as error:  # of a learner that cannot learn from fewer
            logger.warning("nothing tells how far to trust it: %s", error)
            return None

    def _learned(self, examples: Samples) -> Callable[[Tensor], Tensor]:
        """What it would say, had it learned from these."""
        again = adapt(
            self.learner, self.meta, examples, self.classes, None, self.origin
        )
        return again.outputs

    def with_judgement(self, judged: Mapping[str, Any]) -> AdaptedModel:
        """The same, told how good it was found to be; nothing is learned anew."""
        return replace(self, judged=judged, kept_trust=self.trust)

    def outputs(self, inputs: Tensor, prediction: QueryMode = "alone") -> Tensor:
        """Logits (m, ways), or numbers (m, outputs), of inputs (m, *shape).

        Alone, a prediction does not depend on what else is asked; `together`, all
        inputs are one batch, as the queries of an episode are. Raises NoNumberError for
        inputs of which no number comes out.
        """
        expected = self.learner.problem.shape
        if tuple(inputs.shape[1:]) != expected:
            raise UnsupportedError(
                f"inputs have the shape {tuple(inputs.shape[1:])}, and the model takes "
                f"{expected}"
            )
        if not len(inputs):
            return inputs.new_empty(0, self.width)
        size = len(inputs)
        if prediction == "alone":
            size = fitting(self.learner.network, expected, BATCH)
        with torch.no_grad(), self.learner.computing():
            parts = [
                predict(
                    self.learner,
                    self.meta,
                    self.params,
                    self.support,
                    part.to(self.learner.device),
                    prediction,
                ).cpu()
                for part in torch.split(inputs, size)
            ]
        return require_numbers(torch.cat(parts))

    @property
    def width(self) -> int:
        """Numbers in a prediction."""
        return len(self.classes) or self.learner.problem.outputs

    def features(self, inputs: Tensor) -> Tensor | None:
        """(m, d): what classes are compared by; None for a learner that has no such
        features, or makes them of a batch."""
        if not self.learner.algorithm.any_ways or self.learner.normalises_batches:
            return None
        size = fitting(self.learner.network, self.learner.problem.shape, BATCH)
        with torch.no_grad(), self.learner.computing():
            parts = [
                self.features_of(part.to(self.learner.device)).cpu()
                for part in torch.split(inputs, size)
            ]
        return torch.cat(parts)

    def features_of(self, inputs: Tensor) -> Tensor:
        """(m, d): by the network, where that makes features and no predictions."""
        network, meta = self.learner.network, self.meta
        params = own(network, meta.params)
        return apply(network, params, inputs, state=meta.state).flatten(1)

    @property
    def temperature(self) -> float:
        """What outputs are divided by, so that their softmax is a confidence; 1 where
        that is not known."""
        return 1.0 if self.trust is None else self.trust.temperature

    def probabilities(self, inputs: Tensor, prediction: QueryMode = "alone") -> Tensor:
        """(m, ways): the softmax of the outputs, each alone at its temperature."""
        return self.probabilities_of(self.outputs(inputs, prediction), prediction)

    def probabilities_of(
        self, outputs: Tensor, prediction: QueryMode = "alone"
    ) -> Tensor:
        """(m, ways): of outputs that it has given."""
        temperature = self.temperature if prediction == "alone" else 1.0
        return (outputs.double() / temperature).softmax(-1)

    def sets(self, probabilities: Tensor, coverage: float = COVERAGE) -> Tensor | None:
        """(m, ways), bool: which classes the set has that holds the right one as often
        as `coverage`, of probabilities that it has given; None if that is not known.

        Raises ValueError unless `coverage` is within (0, 1).
        """
        right = torch.empty(0) if self.trust is None else self.trust.right
        least = threshold(right, coverage)
        return None if least is None else prediction_sets(probabilities, least)

    def typicality(self, inputs: Tensor) -> Tensor | None:
        """(m,), within (0, 1]: the share of its own examples that are no more like any
        class than each of the inputs; None if that is not known."""
        typical = None if self.trust is None else self.trust.typicality
        features = None if typical is None else self.features(inputs)
        if typical is None or features is None:
            return None
        return typical.of(features.double())


def adapt(
    learner: Learner,
    meta: Meta,
    support: Samples,
    classes: Sequence[str],
    encoder: Encoder | None,
    origin: ModelOrigin,
    items: Sequence[Item] = (),
) -> AdaptedModel:
    """Learn a task from its support set: inputs (n, *shape), targets (n,) or (n, k),
    made from `items`.

    Raises UnsupportedError if the algorithm cannot do that many classes.
    """
    trained = learner.problem
    asked = trained
    if classes:
        asked = replace(trained, outputs=len(classes))
    learner.algorithm.check(trained, asked)
    support = Samples(*(tensor.to(learner.device) for tensor in support))
    with torch.no_grad(), learner.computing():
        params = learner.algorithm.adapt(
            learner.network, meta, support, max(len(classes), 1)
        )
    origin = replace(
        origin,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
    )
    targets = support.targets.tolist() if classes else []
    return AdaptedModel(
        learner,
        meta,
        params,
        support,
        tuple(classes),
        encoder,
        origin,
        tuple(items),
        counts={name: targets.count(n) for n, name in enumerate(classes)},
    )
