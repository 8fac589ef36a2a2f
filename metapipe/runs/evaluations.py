"""What an evaluation asks, and the row it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..data.unequal import unequal
from ..dataset import Source
from ..episode import Task
from ..errors import SettingError
from ..events import EpisodeRecord
from ..experiment.experiment import Experiment
from ..settings import SUPPORT, EvaluationSettings
from ..store.records import NewEvaluation
from ..training.evaluation import BATCH
from ..training.intervals import Summary
from ..training.learner import Learner
from .recipes import corners, drawn_shapes

Advanced = Callable[[str, int, int], None]
"""Told of the episodes of a split how many are judged, and how many there are."""


def untold(split: str, done: int, episodes: int) -> None:
    """Told by nobody."""


def judged(
    records: Iterator[EpisodeRecord], split: str, episodes: int, advanced: Advanced
) -> list[EpisodeRecord]:
    """All of them; `advanced` is told how many there are, from 0 to all."""
    found: list[EpisodeRecord] = []
    advanced(split, 0, episodes)
    for record in records:
        found.append(record)
        if len(found) % BATCH == 0 or len(found) == episodes:
            advanced(split, len(found), episodes)
    return found


def evaluation_tasks(
    experiment: Experiment,
    settings: EvaluationSettings,
    dataset: str | None = None,
) -> list[Task]:
    """The recipes that evaluation settings ask for: where these leave a range, each
    episode has ways and shots of its own, which its integers say."""
    least, most = _ends(experiment, settings, dataset)
    tasks = [replace(least, index=number) for number in range(settings.episodes)]
    if most == least:
        return [unequal(task, settings.support) for task in tasks]
    shapes = drawn_shapes(tasks, most)
    return [
        unequal(replace(task, ways=ways, shots=shots), settings.support)
        for task, (ways, shots) in zip(tasks, shapes, strict=True)
    ]


def evaluation_extremes(
    experiment: Experiment,
    settings: EvaluationSettings,
    dataset: str | None = None,
) -> list[Task]:
    """The smallest and the largest episode that evaluation settings ask for, and what
    may be asked most of between them; one if all are alike. Raises SettingError for a
    range that ends before it begins."""
    return corners(*_ends(experiment, settings, dataset), settings.support)


def evaluation_row(
    experiment: Experiment,
    settings: EvaluationSettings,
    learner: Learner,
    source: Source,
    summary: Summary,
    *,
    dataset: str | None = None,
    changes: Mapping[str, Any] | None = None,
    **facts: Any,
) -> NewEvaluation:
    """An evaluation as the store takes it, from settings, learner and summary."""
    asked, most = _ends(experiment, settings, dataset)
    shared = {} if settings.support is None else {SUPPORT: settings.support}
    return NewEvaluation(
        dataset=asked.dataset,
        fingerprint=source.facts.fingerprint,
        split=asked.split,
        settings={**(changes or {}), **shared},
        seed=asked.seed,
        ways=asked.ways,
        ways_to=most.ways if most.ways > asked.ways else None,
        shots=asked.shots,
        shots_to=most.shots if most.shots > asked.shots else None,
        mapping=str(learner.mapping),
        queries=asked.queries,
        prediction=settings.prediction,
        statistics=learner.algorithm.statistics,
        transductive=learner.transductive(settings.prediction),
        loss=summary.loss,
        loss_ci95=summary.loss_ci95,
        loss_before=summary.loss_before,
        accuracy=summary.accuracy,
        accuracy_ci95=summary.accuracy_ci95,
        accuracy_before=summary.accuracy_before,
        figures=summary.figures,
        curves=summary.curves,
        **facts,
    )


def _ends(
    experiment: Experiment, settings: EvaluationSettings, dataset: str | None
) -> tuple[Task, Task]:
    """The smallest and the largest, of classes that are alike; what is not asked for is
    as in training."""
    task = experiment.task
    least = Task(
        dataset or experiment.run.dataset,
        settings.split,
        settings.seed,
        0,
        settings.ways or task.ways,
        task.shots if settings.shots is None else settings.shots,
        settings.queries or task.queries,
    )
    for name in ("ways", "shots"):
        begin, end = getattr(least, name), getattr(settings, f"{name}_to")
        if end is not None and end < begin:
            raise SettingError(
                f"evaluation.{name}_to = {end} is less than {name} = {begin}"
            )
    most = replace(
        least,
        ways=settings.ways_to or least.ways,
        shots=settings.shots_to or least.shots,
    )
    return least, most
