"""A run of the store, tested on unseen episodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..data.resized_source import fitted
from ..dataset import Dataset
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..settings import EvaluationSettings
from ..store import TaskStore
from ..store.records import EvaluationRow
from ..training.evaluation import evaluate as evaluate_tasks
from ..training.intervals import summarise
from ..training.learner import Learner
from .evaluations import evaluation_row, evaluation_tasks
from .preparation import check_asked
from .reporter import Reporter
from .stored_run import (
    changed_after_training,
    look_for_trained,
    stored_checkpoint,
    trained_learner,
)


def evaluate(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    settings: EvaluationSettings,
    *,
    dataset: Dataset | None = None,
    dataset_name: str | None = None,
    dataset_settings: Mapping[str, Any] | None = None,
    algorithm: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    trained: Learner | None = None,
) -> EvaluationRow:
    """Evaluate a run on unseen episodes and store the result.

    `dataset` replaces the run's own, of which `dataset_settings` were changed, and its
    images are resized to those of the run;
    `algorithm` changes settings of its algorithm that matter after training
    (`test_steps`). Both are kept with the result, and so is what the run may know of
    the other data. With the `reporter` of a run that ends by it, the run gets its
    figures from it, and observers are told. Raises DataError for classes that it was
    trained on.
    """
    row = store.run(run_id)
    experiment = Experiment.from_dict(row.config, registry)
    checkpoint = stored_checkpoint(store, row, settings.checkpoint)
    experiment = changed_after_training(experiment, registry, algorithm or {}, row)
    if trained is None:
        learner, meta = trained_learner(experiment, checkpoint, row)
    else:
        learner, meta = trained, checkpoint.meta(trained.device)
    name = dataset_name or experiment.run.dataset
    chosen = dataset or experiment.dataset
    opened = chosen.open(settings.split)
    source = fitted(opened, learner.problem, name)
    tasks = evaluation_tasks(experiment, settings, name)
    check_asked(learner, source, tasks[0])
    known: Mapping[str, int] = {}
    if name != experiment.run.dataset or settings.split != "train":
        same = chosen == experiment.dataset
        known = look_for_trained(experiment, checkpoint, row, opened, name, same)
    begun = time.perf_counter()
    records = list(
        evaluate_tasks(
            learner,
            meta,
            source,
            tasks,
            step=checkpoint.step,
            prediction=settings.prediction,
        )
    )
    new = evaluation_row(
        experiment,
        settings,
        learner,
        source,
        summarise(records),
        dataset=name,
        changes={
            **(algorithm or {}),
            **{f"dataset.{k}": v for k, v in (dataset_settings or {}).items()},
            **known,
        },
        purpose="test",
        step=checkpoint.step,
        checkpoint=checkpoint.sha256,
        seconds=time.perf_counter() - begun,
    )
    if reporter is not None:
        return store.evaluation(reporter.evaluated(new, records))
    added = store.record_evaluation(run_id, new, records, of_the_run=False)
    return store.evaluation(added)
