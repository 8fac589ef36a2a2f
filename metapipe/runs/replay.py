"""Drawing a recorded episode again, with what its run predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch

from ..data.normalised_source import pictures
from ..data.resized_source import fitted
from ..episode import Episodes, Samples, Task
from ..errors import UnsupportedError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.losses import task_loss
from ..problem import Split
from ..store import TaskStore
from ..store.checkpoint_names import ENSEMBLE
from ..store.records import EvaluationRow, RunRow
from ..training.evaluation import QueryMode, predict
from .ensembles import judged_checkpoints, judged_learner
from .stored_run import encoder_of, require_same_data, stored_checkpoint
from .unseen import FINDINGS


@dataclass(frozen=True)
class Replay:
    """One episode drawn again from its integers, with what the run predicts."""

    task: Task
    episodes: Episodes
    """The episode, as a meta-batch of one; images in [0, 1]."""

    classes: tuple[str, ...]
    """Class names by label; empty for regression."""

    predictions: list[int] | list[list[float]]
    """A label for each query, or the predicted numbers."""

    accuracy: float | None
    loss: float


def replay(episode_id: int, registry: Registry, store: TaskStore) -> Replay:
    """Draw a recorded episode again and predict its queries.

    The predictions are those of the run's best checkpoint, or its latest; of an
    ensemble's episode, those of the ensemble.
    """
    episode = store.episode(episode_id)
    row = store.run(episode.run_id)
    if episode.task.split == "new":
        raise UnsupportedError(
            f"episode {episode_id} was handed in as files and cannot be drawn again; "
            f"its evaluation in metapipe runs show {row.id} tells which"
        )
    task = episode.task
    recorded = None
    if episode.evaluation_id is not None:
        recorded = store.evaluation(episode.evaluation_id)
    experiment = as_evaluated(row, recorded, task.dataset, registry)
    opened = experiment.dataset.open(cast(Split, task.split))
    known = recorded.fingerprint if recorded else row.fingerprint
    require_same_data(known, opened)
    prediction = cast(QueryMode, recorded.prediction if recorded else "together")
    checkpoints = [stored_checkpoint(store, row, "best")]
    if recorded and ENSEMBLE in recorded.settings:
        checkpoints = list(judged_checkpoints(store, row, recorded).values())
    learner, meta = judged_learner(experiment, checkpoints, row)
    source = fitted(opened, learner.problem, task.dataset, encoder_of(row, registry))
    episodes = source.draw([task])
    moved = episodes.to(learner.device)
    support = Samples(*(t[0] for t in moved.support))
    with torch.no_grad():
        adapted = learner.algorithm.adapt(learner.network, meta, support, task.ways)
        outputs = predict(
            learner, meta, adapted, support, moved.query.inputs[0], prediction
        )
        _, metrics = task_loss(outputs, moved.query.targets[0])
    classes: tuple[str, ...] = ()
    if episodes.class_indices is not None:
        classes = tuple(
            source.facts.classes[c] for c in episodes.class_indices[0].tolist()
        )
        outputs = outputs.argmax(-1)
    accuracy = float(metrics["accuracy"]) if "accuracy" in metrics else None
    return Replay(
        task,
        pictures(source, episodes),
        classes,
        outputs.tolist(),
        accuracy,
        float(metrics["loss"]),
    )


def as_evaluated(
    row: RunRow, recorded: EvaluationRow | None, name: str, registry: Registry
) -> Experiment:
    """The run's experiment, with what was changed for the evaluation, on the data set
    of that name."""
    experiment = Experiment.from_dict(row.config, registry)
    changes = recorded.settings if recorded else {}
    of_data = {
        key.removeprefix("dataset."): value
        for key, value in changes.items()
        if key.startswith("dataset.")
    }
    others = {
        key: value
        for key, value in changes.items()
        if not key.startswith("dataset.") and key not in (ENSEMBLE, *FINDINGS)
    }
    own = name == row.dataset
    known = experiment.dataset.model_dump() if own else {}
    dataset = registry.create("dataset", name, {**known, **of_data})
    return replace(experiment, dataset=dataset).with_algorithm(registry, others)
