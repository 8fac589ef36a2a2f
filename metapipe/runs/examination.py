"""A run of the store, tested on unseen episodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..data.resized_source import fitted
from ..dataset import Dataset, Source
from ..errors import CheckpointError
from ..events import EpisodeRecord
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.threads import computing_with
from ..settings import EvaluationSettings
from ..store import TaskStore
from ..store.records import EvaluationRow, NewEvaluation, RunRow
from ..training.crew import ALONE, Crew
from ..training.evaluation import evaluate as evaluate_tasks
from ..training.intervals import summarise
from .ensembles import asked_checkpoints, judged_learner, recorded
from .evaluations import (
    Advanced,
    evaluation_extremes,
    evaluation_row,
    evaluation_tasks,
    judged,
    untold,
)
from .mapping import mapping_of_test
from .preparation import check_all, check_range, logger
from .shared_test import tell_test
from .splits import open_split
from .stored_run import changed_after_training, encoder_of, look_for_trained
from .threads import recorded_threads


@dataclass(frozen=True)
class Changes:
    """What an evaluation does otherwise than the run's own experiment."""

    dataset: Dataset | None = None
    """In place of the run's own; its images are resized to those of the run."""

    dataset_name: str | None = None
    dataset_settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that were changed."""

    algorithm: Mapping[str, Any] = field(default_factory=dict)
    """Settings that matter after training (`test_steps`)."""

    def to_json(self) -> dict[str, Any]:
        """What is kept with the result."""
        settings = {f"dataset.{k}": v for k, v in self.dataset_settings.items()}
        return {**self.algorithm, **settings}


def evaluate(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    settings: EvaluationSettings,
    changes: Changes | None = None,
    advanced: Advanced = untold,
    crew: Crew = ALONE,
) -> EvaluationRow:
    """Evaluate a run on unseen episodes and store the result, with what was changed and
    what the run may know of the data. Raises DataError for classes that it was trained
    on."""
    row = store.run(run_id)
    with computing_with(recorded_threads(row)):
        new, records = judge(
            row, registry, store, settings, changes, advanced, crew=crew
        )
    added = store.record_evaluation(run_id, new, records, of_the_run=False)
    return store.evaluation(added)


def final_test(
    row: RunRow,
    registry: Registry,
    store: TaskStore,
    settings: EvaluationSettings,
    advanced: Advanced,
    opened: Source,
    crew: Crew = ALONE,
) -> tuple[NewEvaluation, list[EpisodeRecord]]:
    """The test that ends a training, on the split that it has opened: of the latest
    checkpoint if the best is lost, which is told."""
    try:
        return judge(row, registry, store, settings, None, advanced, opened, crew)
    except CheckpointError as error:
        if settings.checkpoint == "latest":
            raise
        reason = str(error).partition("; there is also")[0]
        logger.warning("the test is of the latest checkpoint: %s", reason)
        settings = settings.model_copy(update={"checkpoint": "latest"})
        return judge(row, registry, store, settings, None, advanced, opened, crew)


def judge(
    row: RunRow,
    registry: Registry,
    store: TaskStore,
    settings: EvaluationSettings,
    changes: Changes | None = None,
    advanced: Advanced = untold,
    opened: Source | None = None,
    crew: Crew = ALONE,
) -> tuple[NewEvaluation, list[EpisodeRecord]]:
    """That evaluation with its episodes, not stored yet; on the split that somebody has
    `opened`, if it is, and by all processes of a crew."""
    changes = changes or Changes()
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    checkpoints = asked_checkpoints(store, row, settings)
    checkpoint = checkpoints[0]
    experiment = changed_after_training(experiment, registry, changes.algorithm, row)
    learner, meta = judged_learner(experiment, checkpoints, row)
    name = changes.dataset_name or experiment.run.dataset
    chosen = changes.dataset or experiment.dataset
    if opened is None:
        opened = open_split(replace(experiment, dataset=chosen), settings.split)
    source = fitted(opened, learner.problem, name, encoder_of(row, registry))
    recipes = evaluation_extremes(experiment, settings, name)
    check_range(experiment, "evaluation", recipes)
    check_all(learner, source, recipes)
    tasks = evaluation_tasks(experiment, settings, name)
    known: Mapping[str, int] = {}
    if name != experiment.run.dataset or settings.split != "train":
        same = chosen == experiment.dataset
        known = look_for_trained(experiment, checkpoint, row, opened, name, same)
    begun, step = time.perf_counter(), checkpoint.step
    how = settings.prediction
    mapping = mapping_of_test(experiment, learner, meta, source, tasks, how)
    learner = replace(learner, mapping=mapping)
    data = name, chosen, source
    tell_test(crew, registry, experiment, data, settings, checkpoints, row, learner)
    met = evaluate_tasks(
        learner, meta, source, tasks, step=step, prediction=how, crew=crew
    )
    records = judged(met, settings.split, len(tasks), advanced)
    new = evaluation_row(
        experiment,
        settings,
        learner,
        source,
        summarise(records, source.part),
        dataset=name,
        changes={**changes.to_json(), **recorded(checkpoints), **known},
        purpose="test",
        step=step,
        checkpoint=checkpoint.sha256,
        seconds=time.perf_counter() - begun,
    )
    return new, records
