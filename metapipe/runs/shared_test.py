"""A test, or any evaluation, by all processes of a crew: who leads tells what is
judged, and keeps the records of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from ..data.encoders import encoder_from
from ..data.resized_source import fitted
from ..dataset import Dataset, Source
from ..errors import CheckpointError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..numerics.threads import computing_with
from ..problem import Problem, Split
from ..settings import EvaluationSettings
from ..store.records import EvaluationRow, RunRow
from ..training.checkpoint import Checkpoint, load
from ..training.crew import Crew
from ..training.ensemble import ensemble
from ..training.evaluation import evaluate
from ..training.learner import Learner
from .agreement import require_same_test
from .evaluations import evaluation_tasks
from .splits import open_split
from .stored_run import opened_learner

NOTHING: Mapping[Split, Source] = {}


def tell_test(
    crew: Crew,
    registry: Registry,
    experiment: Experiment,
    data: tuple[str, Dataset, Source],
    settings: EvaluationSettings,
    checkpoints: Sequence[Checkpoint],
    row: RunRow,
    learner: Learner,
) -> None:
    """Tell what of a run is judged, and on which data: the name of the data set, with
    its settings, and what was opened of it. Raises CrewError where a process has
    others."""
    if crew.size == 1:
        return
    name, dataset, source = data
    run = experiment.run.model_copy(update={"dataset": name})
    judged = replace(experiment, run=run, dataset=dataset)
    told = {
        "experiment": judged.to_dict(),
        "settings": settings.model_dump(),
        "checkpoints": [place_of(each) for each in checkpoints],
        "problem": row.problem,
        "encoder": row.encoder,
        "mapping": str(learner.mapping),
        "threads": torch.get_num_threads(),
    }
    crew.share(told)
    require_same_test(crew, judged, registry, (settings.split, source), learner.device)


def take_part(
    crew: Crew, registry: Registry, opened: Mapping[Split, Source] = NOTHING
) -> None:
    """Judge this process's share of a test, on what it has `opened`, if it has."""
    told: dict[str, Any] = crew.share({})
    experiment = Experiment.from_dict(told["experiment"], registry)
    settings = EvaluationSettings.model_validate(told["settings"])
    problem, mapping = (
        Problem.from_record(told["problem"]),
        LocalTaskMap.parse(told["mapping"]),
    )
    found = [
        opened_learner(experiment, found_at(each), problem, mapping)
        for each in told["checkpoints"]
    ]
    learner, meta = ensemble(found[0][0], [meta for _, meta in found])
    source = opened.get(settings.split)
    if source is None:
        encoder = told["encoder"] and encoder_from(told["encoder"], registry.encoders)
        whole, name = open_split(experiment, settings.split), experiment.run.dataset
        source = fitted(whole, problem, name, encoder or None)
    same = settings.split, source
    require_same_test(crew, experiment, registry, same, learner.device)
    tasks, how = evaluation_tasks(experiment, settings), settings.prediction
    with computing_with(told["threads"]):
        judged = evaluate(
            learner, meta, source, tasks, step=0, prediction=how, crew=crew
        )
        for _ in judged:
            pass  # who leads keeps the records


def tell_evaluation(crew: Crew, row: EvaluationRow) -> EvaluationRow:
    """Tell what was stored."""
    crew.share({**asdict(row), "created": row.created.isoformat()})
    return row


def follow_evaluation(crew: Crew, registry: Registry) -> EvaluationRow:
    """Take part in an evaluation; returns what was stored of it."""
    take_part(crew, registry)
    facts: dict[str, Any] = crew.share({})
    created = datetime.fromisoformat(facts["created"])
    return EvaluationRow(**{**facts, "created": created})


def place_of(checkpoint: Checkpoint) -> tuple[str, str]:
    """Where a checkpoint is, and its hash."""
    return str(checkpoint.file.path), checkpoint.sha256


def found_at(place: Sequence[str]) -> Checkpoint:
    """The checkpoint there. Raises CheckpointError."""
    path, sha256 = Path(place[0]), place[1]
    if not path.exists():
        raise CheckpointError(
            f"no checkpoint at {path} here: processes that work together need one "
            "folder, shared among their machines"
        )
    return load(path, sha256)
