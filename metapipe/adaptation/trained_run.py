"""A run that was trained, opened to be adapted: no data needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..algorithm import Meta
from ..data.encoders import encoder_from
from ..encoder import Encoder
from ..episode import Samples, Task
from ..errors import UsageError
from ..events import EpisodeRecord
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.functional import accuracy, task_loss
from ..runs.preparation import (
    changed_after_training,
    stored_checkpoint,
    trained_learner,
)
from ..store import TaskStore
from ..store.records import NewEvaluation, RunRow
from ..training.checkpoint import Checkpoint
from ..training.evaluation import Prediction, wilson
from ..training.learner import Learner
from .adapted_model import Adapted, Origin, adapt


@dataclass(frozen=True)
class Trained:
    """A run with its learner and the meta-parameters of a checkpoint."""

    row: RunRow
    experiment: Experiment
    learner: Learner
    meta: Meta
    checkpoint: Checkpoint
    encoder: Encoder | None

    def adapt(self, support: Samples, classes: Sequence[str]) -> Adapted:
        """Learn a task; see `metapipe.adaptation.adapted_model.adapt`."""
        tables = self.experiment.to_dict()
        origin = Origin(
            algorithm=self.row.algorithm,
            model=self.row.model,
            settings={name: tables[name] for name in ("algorithm", "model")},
            run=f"run {self.row.id}" + (f" ({self.row.name})" if self.row.name else ""),
            plugins=self.row.plugins,
        )
        return adapt(self.learner, self.meta, support, classes, self.encoder, origin)

    def require_encoder(self) -> Encoder:
        """Raise UsageError if nobody knows how new items become inputs."""
        if self.encoder is None:
            raise UsageError(
                f"run {self.row.id} learned on {self.row.dataset}, which does not tell "
                "how new items become inputs: train on a data set that does, for "
                "example image-folder"
            )
        return self.encoder


@dataclass(frozen=True)
class Judgement:
    """How an adapted learner does on a labelled set."""

    count: int
    loss: float
    accuracy: float | None
    low: float | None
    high: float | None
    """Wilson's 95 % interval of the accuracy, over items."""

    before: float | None
    """Accuracy before adaptation, where that exists."""

    confusion: list[list[int]]
    """[true][predicted]: numbers of items."""


def open_run(
    store: TaskStore,
    registry: Registry,
    run: str | int,
    kind: str = "best",
    changes: Mapping[str, Any] | None = None,
) -> Trained:
    """A run of the store, ready to adapt; `changes` are settings of its algorithm.

    The problem and the encoder are those recorded with the run; the data are opened
    only for a run that was recorded without them.
    """
    row = store.run(run)
    experiment = Experiment.from_dict(row.config, registry)
    experiment = changed_after_training(experiment, registry, changes or {}, row)
    checkpoint = stored_checkpoint(store, row, kind)
    learner, meta = trained_learner(experiment, checkpoint, row)
    encoder = _encoder(row, experiment)
    return Trained(row, experiment, learner, meta, checkpoint, encoder)


def judge(
    adapted: Adapted, samples: Samples, prediction: Prediction = "alone"
) -> Judgement:
    """Predict labelled samples and compare."""
    outputs = adapted.outputs(samples.inputs, prediction)
    loss, metrics = task_loss(outputs, samples.targets)
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


def evaluation_of(
    trained: Trained,
    adapted: Adapted,
    judged: Judgement,
    prediction: Prediction,
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
        step=trained.checkpoint.step,
        checkpoint=trained.checkpoint.sha256,
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


def _encoder(row: RunRow, experiment: Experiment) -> Encoder | None:
    """That recorded with the run; of its data, for a run recorded without."""
    if "problem" not in row.environment:
        return experiment.dataset.open("train").encoder
    record = row.environment.get("encoder")
    return encoder_from(record) if record else None


def _before(adapted: Adapted, samples: Samples, prediction: Prediction) -> float | None:
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
