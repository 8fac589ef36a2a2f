"""What validation said as training went on, of a run or over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ..errors import UnsupportedError
from ..printable import how_many
from ..store import TaskStore
from ..store.listing import pick
from ..store.records import EvaluationRow, MetricRow, RunRow
from ..store.student import half_width


@dataclass(frozen=True)
class Point:
    """One evaluation: a mean with its 95 % interval."""

    step: int
    minutes: float
    """Of training until then, validations not counted."""

    value: float
    ci95: float


@dataclass(frozen=True)
class Curve:
    """How good a run was when."""

    name: str
    figure: str
    """accuracy, loss where there are no classes, or return of control."""

    validations: tuple[Point, ...]
    test: Point | None
    over: Literal["episodes", "seeds"] = "episodes"
    """What the intervals are of."""


def curves(store: TaskStore, rows: Sequence[RunRow]) -> list[Curve]:
    """A curve a run. Raises UnsupportedError if a run was never validated, or if some
    are judged by accuracy and others by loss."""
    found = [_curve(store, row) for row in rows]
    if len({curve.figure for curve in found}) > 1:
        kinds = ", ".join(f"{curve.name} by {curve.figure}" for curve in found)
        raise UnsupportedError(f"these runs share no figure to draw: {kinds}")
    return found


def _curve(store: TaskStore, row: RunRow) -> Curve:
    name = row.name or f"run {row.id}"
    evaluations = sorted(store.evaluations(row.id), key=lambda e: e.id)
    validations = [e for e in evaluations if e.purpose == "validation"]
    if not validations:
        raise UnsupportedError(
            f"{name} was never validated, so there is no curve to draw: train with "
            "--validate-every N, or leave out --png"
        )
    tests = [e for e in evaluations if e.purpose == "test"]
    tasks = int(row.config["training"]["tasks"])
    speeds = store.metrics(row.id, "episodes_per_second")
    steps, minutes = training_minutes(speeds, tasks)
    figure = "loss" if validations[0].accuracy is None else "accuracy"
    figure = "return" if row.controls else figure

    def point(evaluation: EvaluationRow) -> Point:
        step = evaluation.step
        value, ci95 = evaluation.accuracy, evaluation.accuracy_ci95
        if figure != "accuracy" or value is None:
            value, ci95 = evaluation.loss, evaluation.loss_ci95
        value = -value if figure == "return" else value
        return Point(step, float(np.interp(step, steps, minutes)), value, ci95 or 0.0)

    return Curve(
        name,
        figure,
        tuple(point(evaluation) for evaluation in validations),
        point(_of_the_run(row, tests)) if tests else None,
    )


def _of_the_run(row: RunRow, tests: Sequence[EvaluationRow]) -> EvaluationRow:
    """The test that ended the run, of those that were made of it."""
    return next((test for test in tests if test.loss == row.loss), tests[0])


def seed_curves(
    store: TaskStore, rows: Sequence[RunRow], by: Sequence[str]
) -> list[Curve]:
    """A curve for each group of runs that agree in the columns `by`: means over seeds,
    each once, at the iterations at which all of the group were validated, with
    Student's intervals.

    Raises UnsupportedError for what cannot be drawn.
    """
    groups: dict[str, list[tuple[RunRow, Curve]]] = {}
    values = pick(rows, by)
    for row, curve, named in zip(rows, curves(store, rows), values, strict=True):
        name = ", ".join(map(str, named.values()))
        groups.setdefault(name, []).append((row, curve))
    return [_over_seeds(name, members) for name, members in groups.items()]


def _over_seeds(name: str, members: Sequence[tuple[RunRow, Curve]]) -> Curve:
    steps = set.intersection(*({p.step for p in c.validations} for _, c in members))
    if not steps:
        raise UnsupportedError(
            f"the runs of {name} share no iteration at which they were validated: "
            "train them with the same --validate-every, or leave out --png"
        )
    at = {
        step: [(row, p) for row, c in members for p in c.validations if p.step == step]
        for step in sorted(steps)
    }
    tests = [(row, curve.test) for row, curve in members if curve.test is not None]
    seeds = len({row.seed for row, _ in members})
    return Curve(
        f"{name} ({how_many(seeds, 'seed')})",
        members[0][1].figure,
        tuple(_mean_point(step, points) for step, points in at.items()),
        _mean_point(max(p.step for _, p in tests), tests) if tests else None,
        over="seeds",
    )


def _mean_point(step: int, points: Sequence[tuple[RunRow, Point]]) -> Point:
    by_seed: dict[int, list[float]] = {}
    for row, point in points:
        by_seed.setdefault(row.seed, []).append(point.value)
    means = [float(np.mean(values)) for values in by_seed.values()]
    squares = float(np.sum((np.array(means) - np.mean(means)) ** 2))
    minutes = float(np.mean([point.minutes for _, point in points]))
    half = half_width(len(means), squares)
    return Point(step, minutes, float(np.mean(means)), half or 0.0)


def training_minutes(
    speeds: Sequence[MetricRow], tasks: int
) -> tuple[list[int], list[float]]:
    """Steps, and the minutes of training after each: from the recorded speeds, so that
    pauses between a run and its resumption do not count."""
    known = {m.step: m.value for m in speeds if m.value > 0}
    steps, minutes = [0, *sorted(known)], [0.0]
    for before, after in pairwise(steps):
        seconds = (after - before) * tasks / known[after]
        minutes.append(minutes[-1] + seconds / 60)
    return steps, minutes
