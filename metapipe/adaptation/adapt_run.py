"""A run adapted to a new task of labelled files, judged, and kept in the store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..errors import SettingError, did_you_mean
from ..experiment.options import Pairs, by_table
from ..runs.workspace import Workspace
from ..training.evaluation import QueryMode
from .adapted_model import AdaptedModel, save
from .judgement import Judgement, evaluation_of, judge
from .task_files import Examples, read_examples, require_ways
from .trained_run import TrainedRun, open_run

CHECKPOINTS = ("best", "latest")


@dataclass(frozen=True)
class NewTask:
    """Labelled files of a task, and how it is to be learned."""

    support: Path
    """A folder a class, or a table."""

    query: Path | None = None
    """Labelled files to be judged by."""

    checkpoint: str = "best"
    prediction: QueryMode = "alone"
    """Whether queries see each other's batch statistics."""

    settings: Mapping[str, Any] | None = None
    """Of the run's algorithm, to be changed."""


@dataclass(frozen=True)
class Adaptation:
    """A run that has learned a new task, and how well."""

    run: int
    evaluation: int
    """Its number in the task store."""

    model: AdaptedModel
    counts: Mapping[str, int]
    """How many support examples there were of each class; empty for regression."""

    support: Judgement
    query: Judgement | None
    prediction: QueryMode
    transductive: bool
    seconds: float
    out: Path | None
    """Where the model was written to."""


def adapt_run(
    workspace: Workspace,
    run: int | str,
    task: NewTask,
    out: Path | None = None,
) -> Adaptation:
    """Learn a task from its support set, judge by its queries, and record it as an
    evaluation of the run; the adapted model is written to `out`.

    Raises DataError for files that cannot be read or are no task, and UsageError if
    the run does not know how files become inputs.
    """
    begun = time.perf_counter()
    _require_known(task)
    trained = open_run(
        workspace.store, workspace.registry, run, task.checkpoint, task.settings
    )
    support, query = _read(task, trained)
    model = trained.adapt(support.samples, support.classes)
    on_support = judge(model, support.samples, task.prediction)
    on_query = None if query is None else judge(model, query.samples, task.prediction)
    counts = support.counts if support.classes else {}
    seconds = time.perf_counter() - begun
    new, episodes = evaluation_of(
        trained,
        model,
        on_query or on_support,
        task.prediction,
        task.support.resolve().name,
        _record(task, counts),
        seconds,
    )
    if out is not None:
        save(model, out)
    return Adaptation(
        run=trained.row.id,
        evaluation=workspace.store.record_evaluation(
            trained.row.id, new, episodes, of_the_run=False
        ),
        model=model,
        counts=counts,
        support=on_support,
        query=on_query,
        prediction=task.prediction,
        transductive=new.transductive,
        seconds=seconds,
        out=out,
    )


def of_algorithm(settings: Pairs) -> dict[str, Any]:
    """The settings that can change for a new task. Raises SettingError for others."""
    return by_table(settings, ("algorithm",), "adapting")["algorithm"]


def _require_known(task: NewTask) -> None:
    for name, known in (
        ("checkpoint", CHECKPOINTS),
        ("prediction", get_args(QueryMode)),
    ):
        value = getattr(task, name)
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise SettingError(f"{name} = {value!r} is none of them; {hint}")


def _read(task: NewTask, trained: TrainedRun) -> tuple[Examples, Examples | None]:
    """Support set, and queries of its classes."""
    encoder, kind = trained.require_encoder(), trained.learner.problem.kind
    support = read_examples(task.support, encoder, kind)
    require_ways(support, task.support)
    if task.query is None:
        return support, None
    query = read_examples(task.query, encoder, kind, support.classes or None)
    return support, query


def _record(task: NewTask, counts: Mapping[str, int]) -> dict[str, Any]:
    """What the store keeps of the task."""
    return {
        "support": str(task.support.resolve()),
        "query": task.query and str(task.query.resolve()),
        "judged": "support" if task.query is None else "query",
        "classes": counts,
        "algorithm": dict(task.settings or {}),
    }
