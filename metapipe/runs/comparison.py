"""Runs side by side: settings, and what validation said as training went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnsupportedError
from ..store import TaskStore
from ..store.records import EvaluationRow, MetricRow, RunRow, flat_settings

if TYPE_CHECKING:
    from .pictures import Axis


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
    """accuracy, or loss where there are no classes."""

    validations: tuple[Point, ...]
    test: Point | None


@dataclass(frozen=True)
class Comparison:
    """Runs, and the settings in which they differ."""

    rows: tuple[RunRow, ...]
    differences: dict[str, list[Any]]
    """A value a run by dotted name; None where a run has no such setting."""


def compare(
    store: TaskStore,
    runs: Sequence[int | str],
    png: Path | None = None,
    axis: Axis = "minutes",
) -> Comparison:
    """Put runs side by side, and draw their curves into `png`."""
    rows = [store.run(run) for run in runs]
    if png is not None:
        from .pictures import draw_curves  # with matplotlib, for a picture only

        draw_curves(curves(store, rows), png, axis)
    return Comparison(tuple(rows), differences(rows))


def differences(rows: Sequence[RunRow]) -> dict[str, list[Any]]:
    """The settings in which runs differ, with a value a run."""
    flat = [flat_settings(row.config) for row in rows]
    names = sorted({name for settings in flat for name in settings})
    found = {name: [settings.get(name) for settings in flat] for name in names}
    return {
        name: values for name, values in found.items() if len(set(map(str, values))) > 1
    }


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
    speeds = [m for m in store.metrics(row.id) if m.name == "episodes_per_second"]
    steps, minutes = training_minutes(speeds, tasks)

    def point(evaluation: EvaluationRow) -> Point:
        step = evaluation.step
        figure, ci95 = evaluation.accuracy, evaluation.accuracy_ci95
        if figure is None:
            figure, ci95 = evaluation.loss, evaluation.loss_ci95
        return Point(step, float(np.interp(step, steps, minutes)), figure, ci95 or 0.0)

    return Curve(
        name,
        "loss" if validations[0].accuracy is None else "accuracy",
        tuple(point(evaluation) for evaluation in validations),
        point(tests[0]) if tests else None,
    )


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
