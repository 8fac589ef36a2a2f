"""Drawing a recorded episode again, with what its run predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch

from ..algorithm import Meta
from ..data.normalised_source import pictures
from ..data.resized_source import fitted
from ..dataset import Arena, Source
from ..episode import Episodes, Samples, Task, each
from ..errors import UnsupportedError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.losses import task_loss
from ..numerics.returns import return_figures, returns_by_step
from ..problem import Split
from ..settings import SUPPORT
from ..shown import Shown
from ..store import TaskStore
from ..store.checkpoint_names import ENSEMBLE
from ..store.records import EpisodeRow, EvaluationRow, RunRow
from ..training.checkpoint import Checkpoint
from ..training.evaluation import QueryMode, batch_size, predict
from ..training.learner import Learner
from ..training.rollout import draw
from .ensembles import judged_checkpoints, judged_learner, judged_rows
from .recipes import meta_batch
from .splits import open_split
from .stored_run import encoder_of, require_same_data, stored_checkpoint
from .unseen import FINDINGS


@dataclass(frozen=True)
class Replay(Shown):
    """One episode drawn again from its integers, with what the run predicts, or played
    again as the run acts."""

    task: Task
    source: Source
    episodes: Episodes
    """The episode, as a meta-batch of one; images in [0, 1]."""

    classes: tuple[str, ...]
    """Class names by label; empty for regression and control."""

    predictions: list[int] | list[list[float]]
    """A label for each query, or the predicted numbers; empty for control."""

    accuracy: float | None
    loss: float
    returns: tuple[float, ...] = ()
    """Of control: the mean return of each round, and of the query."""


def replay(episode_id: int, registry: Registry, store: TaskStore) -> Replay:
    """Draw a recorded episode again and predict its queries, or act in its world.

    By the parameters that were judged, if they are still kept; or by those of the run's
    best checkpoint, or its latest. Of an ensemble's episode, by those of the ensemble.
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
    opened = open_split(experiment, cast(Split, task.split))
    known = recorded.fingerprint if recorded else row.fingerprint
    require_same_data(known, opened)
    checkpoints = _judged(store, row, recorded)
    learner, meta = judged_learner(experiment, checkpoints, row, recorded)
    source = fitted(opened, learner.problem, task.dataset, encoder_of(row, registry))
    if isinstance(source, Arena):
        size = batch_size(source, task)
        together = _beside(episode, recorded, experiment, size)
        return _played(learner, meta, source, task, together, recorded is None)
    how = cast(QueryMode, recorded.prediction if recorded else "together")
    return _predicted(learner, meta, source, task, how)


def _judged(
    store: TaskStore, row: RunRow, recorded: EvaluationRow | None
) -> list[Checkpoint]:
    """What an evaluation judged, if it is kept. The best for a training episode, and
    in place of a single one that is not kept."""
    if recorded and (
        ENSEMBLE in recorded.settings or judged_rows(store, row, recorded)
    ):
        return list(judged_checkpoints(store, row, recorded).values())
    return [stored_checkpoint(store, row, "best")]


def _beside(
    episode: EpisodeRow,
    recorded: EvaluationRow | None,
    experiment: Experiment,
    size: int,
) -> list[Task]:
    """The tasks that were played together with it, `size` at a time in evaluations: a
    product of matrices may round otherwise in other company, and worlds may be
    chaotic."""
    task = episode.task
    if recorded is None:
        parts = meta_batch(experiment, episode.step - 1)
        return next(part for part in parts if task in part)
    first = task.index - task.index % size
    last = min(first + size, recorded.episodes)
    return [replace(task, index=index) for index in range(first, last)]


def _played(
    learner: Learner,
    meta: Meta,
    arena: Arena,
    task: Task,
    together: list[Task],
    training: bool,
) -> Replay:
    drawn = draw(learner, meta, arena, together, training=training).to("cpu")
    place = together.index(task)
    support, query = (
        each(part, lambda tensor: tensor[place : place + 1])
        for part in (drawn.support, drawn.query)
    )
    episodes = Episodes((task,), support, query)
    found, curve = return_figures(episodes), returns_by_step(episodes)
    accuracy = float(found["accuracy"]) if "accuracy" in found else None
    (returns,) = curve["return_by_step"].tolist()
    loss = float(found["loss"])
    return Replay(task, arena, episodes, (), [], accuracy, loss, tuple(returns))


def _predicted(
    learner: Learner, meta: Meta, source: Source, task: Task, prediction: QueryMode
) -> Replay:
    episodes = source.draw([task])
    moved = episodes.to(learner.device)
    support = Samples(*(t[0] for t in moved.support))
    with torch.no_grad(), learner.computing():
        adapted = learner.algorithm.adapt(learner.network, meta, support, task.ways)
        outputs = predict(
            learner, meta, adapted, support, moved.query.inputs[0], prediction
        )
        _, metrics = task_loss(outputs, moved.query.targets[0])
    classes: tuple[str, ...] = ()
    if episodes.class_indices is not None:
        names = source.facts.classes
        classes = tuple(names[c] for c in episodes.class_indices[0].tolist())
        outputs = outputs.argmax(-1)
    accuracy = float(metrics["accuracy"]) if "accuracy" in metrics else None
    loss = float(metrics["loss"])
    shown = pictures(source, episodes)
    return Replay(task, source, shown, classes, outputs.tolist(), accuracy, loss)


def as_evaluated(
    row: RunRow, recorded: EvaluationRow | None, name: str, registry: Registry
) -> Experiment:
    """The run's experiment, with what was changed for the evaluation, on the data set
    of that name."""
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    changes = recorded.settings if recorded else {}
    of_data = {
        key.removeprefix("dataset."): value
        for key, value in changes.items()
        if key.startswith("dataset.")
    }
    others = {
        key: value
        for key, value in changes.items()
        if not key.startswith("dataset.") and key not in (ENSEMBLE, SUPPORT, *FINDINGS)
    }
    own = name == row.dataset
    known = experiment.dataset.model_dump() if own else {}
    dataset = registry.create("dataset", name, {**known, **of_data})
    return replace(experiment, dataset=dataset).with_algorithm(registry, others)
