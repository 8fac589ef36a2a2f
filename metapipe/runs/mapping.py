"""How the tasks of a run are mapped: as they were before, where there was a before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import torch

from ..algorithm import Meta
from ..dataset import Arena, Source
from ..episode import Episodes, Task
from ..experiment.experiment import Experiment
from ..numerics.choices import remembered
from ..numerics.task_map import LocalTaskMap
from ..numerics.tuning import candidates
from ..store import TaskStore
from ..store.records import RunRow
from ..training import rollout
from ..training.evaluation import BATCH, QueryMode, shape_of
from ..training.learner import Learner
from ..training.loop import DrawBatch, TrainingState, choose_mapping
from ..training.trial import able, choose_test_mapping, few, judges, maps_tasks
from .provenance import processor

DECIDING = ("tasks", "shards", "mapping", "chunk", "recompute")
"""Settings of training that decide which task map is fastest."""

TIMED = 16
"""Episodes of a test by which task maps are timed."""

ENOUGH = 300
"""Episodes of a test from which on that pays."""

UNMAPPED = ("loop", "threads")
"""What is left to choose for a method that maps no tasks in training: whether its
operations have all threads, or one, as beside worker threads. On a machine that others
use too, one may be faster."""


def mapping_for(
    experiment: Experiment,
    learner: Learner,
    state: TrainingState,
    draw: DrawBatch,
    known: LocalTaskMap | None = None,
) -> LocalTaskMap:
    """`known`, which a run that is resumed, repeated or verified had; or that of the
    settings; with `auto` the one that was the fastest here when this work was first
    done."""
    if known is not None:
        return known
    training = experiment.training
    chunk, tasks = training.at_once, training.tasks
    maps = candidates(training.mapping, chunk, tasks, learner.device)
    if len(maps) == 1:
        return maps[0]
    work = {**work_at(experiment, learner), "maps": [*map(str, maps)]}

    @cache
    def can(task_map: LocalTaskMap) -> bool:
        """Be trained and evaluated by it: it may do for the one and not the other."""
        if task_map.mode == "loop":
            return True
        return able(learner, state.meta, few(draw(state.step)[0]), task_map)

    def choose() -> LocalTaskMap:
        if maps_tasks(learner, state.meta, few(draw(state.step)[0])):
            possible = [m for m in maps if can(m)]
        else:
            possible = [m for m in maps if m.mode in UNMAPPED]
        return choose_mapping(learner, state, possible, draw)

    return remembered(work, maps, choose, can)


def mapping_of_test(
    experiment: Experiment,
    learner: Learner,
    meta: Meta,
    source: Source,
    tasks: Sequence[Task],
    prediction: QueryMode,
) -> LocalTaskMap:
    """With `auto` the one by which such episodes were judged fastest here when they
    first were; that of the training for few of them, for worlds, and for episodes of
    the training's own shape, unless that mapped none."""
    training = experiment.training
    maps = candidates(training.mapping, training.at_once, BATCH, learner.device)
    shapes = {*map(shape_of, tasks)}
    alike = shapes == {shape_of(experiment.task)}
    timed = len(maps) > 1 and len(tasks) >= ENOUGH and not isinstance(source, Arena)
    if not timed or (alike and learner.mapping.mode != "loop"):
        return learner.mapping
    work = work_at(experiment, learner) | {
        "maps": [*map(str, maps)],
        "judged": [*sorted(shapes)],
        "prediction": prediction,
        "method": type(learner.algorithm).__name__,
    }
    largest = max(shapes, key=lambda shape: shape[0] * (shape[1] + shape[2]))
    chosen = [task for task in tasks if shape_of(task) == largest][:TIMED]

    @cache
    def episodes() -> Episodes:
        return rollout.draw(learner, meta, source, chosen)

    def can(task_map: LocalTaskMap) -> bool:
        if task_map.mode == "loop":
            return True
        return judges(learner, meta, few(episodes()), task_map, prediction)

    def choose() -> LocalTaskMap:
        possible = [m for m in maps if can(m)]
        return choose_test_mapping(learner, meta, episodes(), possible, prediction)

    return remembered(work, maps, choose, can)


def mapping_of_parent(
    row: RunRow, experiment: Experiment, store: TaskStore
) -> LocalTaskMap | None:
    """That of the run which a run repeats, if it is the same work; None if it is other
    work, or that run had not come so far."""
    parent = parent_of(row, experiment, store)
    return LocalTaskMap.parse(parent.mapping) if parent and parent.mapping else None


def parent_of(row: RunRow, experiment: Experiment, store: TaskStore) -> RunRow | None:
    """The run which a run repeats, if it is the same work."""
    if row.parent_id is None:
        return None
    parent = store.run(row.parent_id)
    same = work_of(parent.config) == work_of(experiment.to_dict())
    return parent if same else None


def work_of(config: Any) -> dict[str, Any]:
    """What of an experiment's tables decides which task map is fastest."""
    run, training = config["run"], config["training"]
    chosen = ("algorithm", "model", "dataset", "precision", "device")
    return {
        "run": {name: run.get(name) for name in chosen},
        "training": {name: training.get(name) for name in DECIDING},
        **{name: dict(config[name]) for name in ("task", "algorithm", "model")},
    }


def work_at(experiment: Experiment, learner: Learner) -> dict[str, Any]:
    """All that decides how long a meta-gradient takes here: JSON-able."""
    return {
        **work_of(experiment.to_dict()),
        **_machine(learner.device),
        "problem": asdict(learner.problem),
    }


def _machine(device: str) -> dict[str, Any]:
    cuda = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if cuda else device,
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
