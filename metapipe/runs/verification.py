"""Doing a recorded run again, to see whether the same comes out, bit for bit.

Nothing is written: neither into the store, nor beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..algorithm import Meta
from ..data.resized_source import fitted
from ..dataset import Source
from ..episode import Episodes
from ..errors import UsageError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..numerics.threads import computing_with
from ..problem import Split
from ..store import StoreReader, TaskStore
from ..store.records import EvaluationRow, MetricRow, RunRow
from ..training.checkpoint import Checkpoint, load
from ..training.delivery import delivered
from ..training.device import device_at_hand
from ..training.evaluation import QueryMode, evaluate
from ..training.intervals import summarise
from ..training.learner import Learner
from ..training.loop import Iteration, initial_state, iterations
from .ensembles import judged_checkpoints, judged_learner, judged_rows
from .execution import execution_of
from .preparation import Prepared
from .provenance import environment
from .recipes import draw_meta_batch
from .replay import as_evaluated
from .splits import open_split
from .start import prepared_from, start_of
from .stored_run import encoder_of
from .stretch import Stretch
from .threads import recorded_threads

RATE = "episodes_per_second"
"""The one figure that a clock decides."""


@dataclass(frozen=True)
class Comparison:
    """One thing that was recorded, and what came out now."""

    what: str
    step: int
    recorded: Any
    found: Any

    @property
    def same(self) -> bool:
        """To the last bit."""
        return bool(self.recorded == self.found)

    def __str__(self) -> str:
        return (
            f"{self.what} at iteration {self.step} was {self.recorded}, and is "
            f"{self.found} now"
        )


@dataclass(frozen=True)
class Verification:
    """A run that was done again."""

    run_id: int
    iterations: int
    """How many were trained again."""

    compared: Sequence[Comparison]
    """Figures, evaluations and checkpoints, in the order they came."""

    differences: Mapping[str, tuple[Any, Any]]
    """What its figures may depend on and is another now: then, and now."""

    @property
    def matches(self) -> bool:
        """Whether all that was compared is the same, bit for bit."""
        return all(each.same for each in self.compared)

    @property
    def first_difference(self) -> Comparison | None:
        """What came out otherwise, first; None if nothing did."""
        return next((each for each in self.compared if not each.same), None)


def verify(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    *,
    first: int | None = None,
    evaluation: bool = False,
) -> Verification:
    """Do a run again: train it to the step that it reached, or its `first` iterations,
    then evaluate its checkpoints; or with `evaluation` the latter alone.

    Its figures, validations, checkpoints and evaluations are compared with those now,
    up to the first that is another. Raises UsageError for a run that has nothing to
    compare, and CheckpointError for a checkpoint that is not there or damaged.
    """
    row = store.run(run_id)
    _require_verifiable(row, first, evaluation)
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    with computing_with(recorded_threads(row)):
        differences = _differences(row, experiment, registry)
    if "data" in differences:  # the same numbers draw other episodes
        changed = Comparison("the data's fingerprint", 0, *differences["data"])
        return Verification(run_id, 0, [changed], differences)
    steps = 0 if evaluation else min(first or row.step, row.step)
    compared: list[Comparison] = []
    with computing_with(recorded_threads(row)):
        if steps:
            compared += _up_to_a_difference(_train(row, experiment, store, steps))
        if steps in (0, row.step) and all(each.same for each in compared):
            compared += _up_to_a_difference(_evaluate(row, registry, store))
    if not compared:
        raise UsageError(
            f"run {run_id} has no record to compare"
            + (f" up to iteration {steps}: take more" if steps else " of a test")
        )
    return Verification(run_id, steps, compared, differences)


def _require_verifiable(row: RunRow, first: int | None, evaluation: bool) -> None:
    if row.backbone is not None:
        raise UsageError(
            f"run {row.id} is a task that {row.backbone} learned: nothing was trained "
            "that could be verified"
        )
    if row.status == "running":
        raise UsageError(f"run {row.id} is running: verify it when it has ended")
    if first is not None and evaluation:
        raise UsageError("iterations and evaluation: the latter trains none, take one")
    if first is not None and first < 1:
        raise UsageError(f"iterations = {first}: at least 1")
    if not row.step:
        raise UsageError(f"run {row.id} ended before its first record: nothing to do")


def _up_to_a_difference(comparisons: Iterator[Comparison]) -> Iterator[Comparison]:
    """What follows a difference would be others too."""
    for each in comparisons:
        yield each
        if not each.same:
            return


def _differences(
    row: RunRow, experiment: Experiment, registry: Registry
) -> dict[str, tuple[Any, Any]]:
    """Versions, machine, plugins and data that are not what they were."""
    source = open_split(experiment, "train")
    run = experiment.run
    now = {
        **environment(device_at_hand(run.device), run.precision),
        **registry.versions(experiment.chosen),
        "data": source.facts.fingerprint,
    }
    then = {**row.environment, **row.plugins, "data": row.fingerprint}
    return {
        name: (then.get(name), value)
        for name, value in now.items()
        if then.get(name) != value
    }


def _train(
    row: RunRow, experiment: Experiment, store: StoreReader, steps: int
) -> Iterator[Comparison]:
    """The iterations of a run, done again, beside what was recorded of them."""
    prepared = prepared_from(experiment, start_of(store, experiment, row))
    mapping = LocalTaskMap.parse(row.mapping or "loop")
    execution = execution_of(row, prepared.learner.device) or "eager"
    learner = replace(prepared.learner, mapping=mapping, execution=execution)
    if learner.device != row.device:
        yield Comparison("the device", 0, row.device, learner.device)
    state = initial_state(
        prepared.meta, experiment.training, experiment.algorithm.groups()
    )
    checkpoints = _checkpoints(row, store)
    validations = [e for e in store.evaluations(row.id) if e.purpose == "validation"]
    metrics = store.metrics(row.id)
    recorded = {metric.step for metric in metrics if metric.name == "grad_norm"}

    source = delivered(prepared.sources["train"], learner.device)

    def draw(iteration: int) -> list[Episodes]:
        return draw_meta_batch(experiment, learner, state.meta, source, iteration)

    window: list[Iteration] = []
    loop = iterations(learner, state, experiment.training, draw, experiment.run.seed)
    with mapping.undisturbed():
        for iteration in loop:
            window.append(iteration)
            step = iteration.step
            if step in recorded:
                yield from _figures(metrics, step, window)
                window.clear()
            for each in validations:
                if each.step == step:
                    yield from _validate(each, prepared, learner, state.meta, store)
            for which, checkpoint in checkpoints.items():
                if checkpoint.step == step:
                    other = checkpoint.difference(state, learner.network)
                    yield Comparison(f"the {which} checkpoint", step, None, other)
            if step == steps:
                return


def _figures(
    metrics: Sequence[MetricRow], step: int, window: Sequence[Iteration]
) -> Iterator[Comparison]:
    """Those of a window of iterations that were recorded."""
    found = Stretch.of(window, seconds=1.0, kept="none").figures
    for metric in metrics:
        if metric.step == step and metric.name in found and metric.name != RATE:
            yield Comparison(metric.name, step, metric.value, found[metric.name])


def _validate(
    recorded: EvaluationRow,
    prepared: Prepared,
    learner: Learner,
    meta: Meta,
    store: StoreReader,
) -> Iterator[Comparison]:
    source = prepared.sources["val"]
    return _evaluated(recorded, learner, meta, source, store, "validation")


def _evaluate(
    row: RunRow, registry: Registry, store: StoreReader
) -> Iterator[Comparison]:
    """The tests of a run whose checkpoints are there, done again."""
    for recorded in store.evaluations(row.id):
        if recorded.purpose != "test" or not judged_rows(store, row, recorded):
            continue
        checkpoints = judged_checkpoints(store, row, recorded)
        name = recorded.dataset
        experiment = as_evaluated(row, recorded, name, registry)
        opened = open_split(experiment, cast(Split, recorded.split))
        what, now = f"the fingerprint of {name}", opened.facts.fingerprint
        yield Comparison(what, recorded.step, recorded.fingerprint, now)
        found = list(checkpoints.values())
        learner, meta = judged_learner(experiment, found, row, recorded)
        source = fitted(opened, learner.problem, name, encoder_of(row, registry))
        what = f"test {recorded.id}"
        yield from _evaluated(recorded, learner, meta, source, store, what)


def _evaluated(
    recorded: EvaluationRow,
    learner: Learner,
    meta: Meta,
    source: Source,
    store: StoreReader,
    what: str,
) -> Iterator[Comparison]:
    """An evaluation and its episodes, drawn and judged again."""
    of_it = f"evaluation_id={recorded.id}"
    rows = store.episodes(recorded.run_id, where=of_it, limit=None)
    records = list(
        evaluate(
            learner,
            meta,
            source,
            [row.task for row in rows],
            step=recorded.step,
            prediction=cast(QueryMode, recorded.prediction),
        )
    )
    summary = summarise(records)
    step = recorded.step
    yield Comparison(f"the loss of {what}", step, recorded.loss, summary.loss)
    then, now = recorded.accuracy, summary.accuracy
    yield Comparison(f"the accuracy of {what}", step, then, now)
    same = [
        (row.loss, row.accuracy) == (record.loss, record.accuracy)
        for row, record in zip(rows, records, strict=True)
    ]
    yield Comparison(f"equal episodes of {what}", step, len(rows), sum(same))


def _checkpoints(row: RunRow, store: StoreReader) -> dict[str, Checkpoint]:
    rows = store.checkpoints(row.id)
    return {found.which: load(Path(found.path), found.sha256) for found in rows}
