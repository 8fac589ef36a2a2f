"""The curves of runs on a terminal: what validation said as training went on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .output import echo
from .plot import Line, can_draw, draw

if TYPE_CHECKING:
    from ..runs.curves import Curve
    from ..store import StoreReader
    from ..store.records import RunRow


def draw_run(store: StoreReader, row: RunRow) -> None:
    """Training and validation of one run, by accuracy if it has one; of control by the
    return, which is minus the loss."""
    if not can_draw():
        return
    name = "accuracy" if store.metrics(row.id, "accuracy") else "loss"
    figure, sign = ("return", -1) if row.controls else (name, 1)
    name = "loss" if row.controls else name
    lines = {
        what: [(m.step, sign * m.value) for m in store.metrics(row.id, metric)]
        for what, metric in (("training", name), ("validation", f"val_{name}"))
    }
    _draw(lines, figure)


def draw_runs(curves: Sequence[Curve]) -> None:
    """The validations of several, or of groups over seeds."""
    if can_draw() and curves:
        lines = {c.name: [(p.step, p.value) for p in c.validations] for c in curves}
        _draw(lines, curves[0].figure)


def _draw(lines: Mapping[str, Line], figure: str) -> None:
    """Those of more than a point."""
    lines = {name: line for name, line in lines.items() if len(line) > 1}
    if lines:
        echo()
        draw(lines, figure)
