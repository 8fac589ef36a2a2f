"""How an adapted model does on labelled examples, and the row it becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..episode import Samples, Task
from ..events import EpisodeRecord
from ..numerics.losses import accuracy, task_loss
from ..store.records import NewEvaluation
from ..training.evaluation import QueryMode
from ..training.intervals import wilson
from .adaptable import Adaptable
from .adapted_model import AdaptedModel
from .trust import Trust


@dataclass(frozen=True)
class Judgement:
    """How an adapted learner does on a labelled set."""

    count: int
    loss: float
    accuracy: float | None
    low: float | None
    high: float | None
    """Wilson's 95 % interval of the accuracy, over items; of half as many, where they
    were held out."""

    before: float | None
    """Accuracy before adaptation, where that exists."""

    confusion: list[list[int]]
    """[true][predicted]: numbers of items."""

    @property
    def figures(self) -> dict[str, Any]:
        """Count, loss, accuracy and its interval, by name."""
        names = ("count", "loss", "accuracy", "low", "high")
        return {name: getattr(self, name) for name in names}


def judge(
    adapted: AdaptedModel, samples: Samples, prediction: QueryMode = "alone"
) -> Judgement:
    """Predict labelled samples and compare."""
    outputs = adapted.outputs(samples.inputs, prediction)
    targets = samples.targets
    if targets.is_floating_point():
        targets = targets.double()  # a square may be too large for single precision
    loss, metrics = task_loss(outputs.double(), targets)
    if not adapted.classes:
        return Judgement(len(outputs), float(loss), None, None, None, None, [])
    ways = len(adapted.classes)
    right = outputs.argmax(-1) == samples.targets
    low, high = wilson(int(right.sum()), len(right))
    pairs = samples.targets * ways + outputs.argmax(-1)
    confusion = torch.bincount(pairs, minlength=ways * ways).reshape(ways, ways)
    return Judgement(
        count=len(outputs),
        loss=float(loss),
        accuracy=float(metrics["accuracy"]),
        low=low,
        high=high,
        before=_before(adapted, samples, prediction),
        confusion=confusion.tolist(),
    )


def judge_held_out(trust: Trust) -> Judgement:
    """As by examples of its own that were held out; the loss is that of confidences."""
    found = trust.estimate
    return Judgement(
        count=found.count,
        loss=float(-trust.right.log().mean()),
        accuracy=found.accuracy,
        low=found.low,
        high=found.high,
        before=None,
        confusion=found.confusion,
    )


def evaluation_of(
    adaptable: Adaptable,
    adapted: AdaptedModel,
    judged: Judgement,
    prediction: QueryMode,
    dataset: str,
    settings: Mapping[str, Any],
    seconds: float,
) -> tuple[NewEvaluation, list[EpisodeRecord]]:
    """The new task as the store keeps it: one episode, which no integers redraw."""
    support = adapted.support
    ways = max(len(adapted.classes), 1)
    shots, queries = len(support.inputs) // ways, judged.count // ways
    task = Task(dataset[:100], "new", 0, 0, ways, shots, queries)
    learner = adapted.learner
    if judged.low is not None:  # over items, and not of one width to both sides
        settings = {**settings, "interval": [judged.low, judged.high]}
    new = NewEvaluation(
        purpose="adaptation",
        dataset=task.dataset,
        fingerprint=_fingerprint(support),
        split=task.split,
        seed=0,
        ways=ways,
        shots=shots,
        queries=queries,
        step=adaptable.step,
        checkpoint=adaptable.sha256,
        settings=settings,
        prediction=prediction,
        statistics=learner.algorithm.statistics,
        transductive=learner.transductive(prediction),
        loss=judged.loss,
        loss_ci95=0.0,
        loss_before=None,
        accuracy=judged.accuracy,
        accuracy_ci95=None,
        accuracy_before=judged.before,
        seconds=seconds,
    )
    record = EpisodeRecord(
        task, new.step, judged.loss, None, judged.accuracy, judged.before
    )
    return new, [record]


def _before(
    adapted: AdaptedModel, samples: Samples, prediction: QueryMode
) -> float | None:
    """The accuracy of the learner that has seen no support."""
    learner, meta = adapted.learner, adapted.meta
    unadapted = learner.algorithm.unadapted(learner.network, meta)
    if unadapted is None:
        return None
    outputs = replace(adapted, params=unadapted).outputs(samples.inputs, prediction)
    return float(accuracy(outputs, samples.targets))


def _fingerprint(support: Samples) -> str:
    digest = hashlib.sha256(repr([tuple(t.shape) for t in support]).encode())
    for tensor in support:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
