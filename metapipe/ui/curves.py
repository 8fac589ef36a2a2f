"""The curves of runs as charts: validation, figures of training, steps of learning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from starlette.requests import Request

from ..errors import UnsupportedError, UsageError
from ..facts.cells import accuracy_text
from ..store import TaskStore
from ..store.groups import listed
from ..store.records import EvaluationRow, MetricRow, RunRow, negated
from .chart import Chart, Line, Spot

if TYPE_CHECKING:
    from ..runs.curves import Curve, Point
    from ..runs.pictures import Axis

POINTS = 200
"""Of a curve of training, at most; of longer ones, means of stretches are drawn."""

UNITS: dict[Axis, str] = {"iterations": "iterations", "minutes": "minutes of training"}
JUDGED = ("val_", "test_")
"""How the figures of evaluations begin, whose curves have intervals."""


def axis_of(request: Request) -> Axis:
    """What curves go over: `x=minutes`, or iterations. Raises UsageError."""
    asked = request.query_params.get("x") or "iterations"
    axis = next((name for name in UNITS if name == asked), None)
    if axis is None:
        raise UsageError(f"x '{asked[:20]}': use {' or '.join(UNITS)}")
    return axis


def validation_chart(
    store: TaskStore, rows: Sequence[RunRow], axis: Axis, by: str = ""
) -> Chart | None:
    """Validation of runs, or of groups over seeds, with 95 % intervals, and their tests
    as diamonds; None if one of them was never validated, or if they share no figure."""
    from ..runs.curves import curves, seed_curves

    try:
        found = seed_curves(store, rows, listed(by)) if by else curves(store, rows)
    except UnsupportedError:
        return None
    if not found:
        return None
    percent = found[0].figure == "accuracy"
    title = f"validation {found[0].figure}{' in %' if percent else ''}"
    over = found[0].over
    lines = tuple(_line(curve, axis) for curve in found)
    return Chart(f"{title}, 95 % interval over {over}", UNITS[axis], lines)


def training_charts(store: TaskStore, row: RunRow) -> list[Chart]:
    """A chart for each figure that training recorded."""
    found = store.metrics(row.id, most=POINTS)
    charts = [
        _figure(name, list(values), acts=row.controls)
        for name, values in groupby(found, key=lambda metric: metric.name)
        if not name.startswith(JUDGED)
    ]
    return [chart for chart in charts if not chart.is_empty]


def learning_charts(evaluation: EvaluationRow) -> list[Chart]:
    """Figures over the steps in which a task is learned, with 95 % intervals."""
    return [
        Chart(name.replace("_", " "), "steps of learning", (_steps(name, evaluation),))
        for name in evaluation.curves
    ]


def _line(curve: Curve, axis: Axis) -> Line:
    def spot(point: Point) -> Spot:
        unit = 100 if curve.figure == "accuracy" else 1
        x = point.minutes if axis == "minutes" else point.step
        y, half = unit * point.value, unit * point.ci95
        text = _text(curve.figure, point.value, point.ci95)
        where = f"iteration {point.step}, {point.minutes:.3g} minutes"
        return Spot(x, y, y - half, y + half, f"{where}: {text}")

    apart = None if curve.test is None else spot(curve.test)
    return Line(curve.name, tuple(map(spot, curve.validations)), apart)


def _figure(name: str, metrics: list[MetricRow], *, acts: bool) -> Chart:
    """Of acts, returns in place of losses, which are minus them."""
    values = [(m.step, m.value) for m in metrics]
    if acts and name in ("loss", "loss_before"):
        name = name.replace("loss", "return")
        values = [(step, negated(value)) for step, value in values]
    spots = tuple(
        Spot(step, value, value, value, f"iteration {step}: {value:.4g}")
        for step, value in values
    )
    return Chart(name.replace("_", " "), UNITS["iterations"], (Line(name, spots),))


def _steps(name: str, evaluation: EvaluationRow) -> Line:
    spots = []
    for step, (mean, ci95) in enumerate(evaluation.curves[name]):
        if mean is not None:
            half = ci95 or 0.0
            text = f"after {step} steps: {_text(name, mean, ci95)}"
            spots.append(Spot(step, mean, mean - half, mean + half, text))
    return Line(name, tuple(spots))


def _text(figure: str, value: float, ci95: float | None) -> str:
    if "accuracy" in figure:
        return accuracy_text(value, ci95) or ""
    return f"{value:.4g}" + (f" ± {ci95:.2g}" if ci95 else "")
