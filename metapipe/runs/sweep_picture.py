"""A picture of a search: how the best came to be, and the figure over each setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..errors import UnsupportedError
from .pictures import COLOURS, save
from .sweep_report import SweepReport, TrialRow

STOPPED = "#999999"
"""Of trials that were stopped early: their figure is that of where they were."""


def draw(report: SweepReport, path: Path) -> None:
    """Draw the trials in their order, with the best so far, and a panel for each
    setting.

    Raises UnsupportedError if no trial is completed, WriteError if `path` cannot be
    written.
    """
    if report.best is None:
        raise UnsupportedError(
            f"no trial of sweep '{report.name}' is completed: there is nothing to draw"
        )
    names = list(report.best.settings)
    figure = Figure(figsize=(4 * (len(names) + 1), 4), layout="constrained")
    places = figure.subplots(1, len(names) + 1, squeeze=False)[0]
    _history(places[0], report)
    for axes, name in zip(places[1:], names, strict=True):
        _setting(axes, report, name)
    figure.suptitle(f"sweep {report.name}: {report.metric}", fontsize=10)
    save(figure, path)


def _history(axes: Any, report: SweepReport) -> None:
    done = sorted(report.ranked, key=lambda trial: trial.number)
    stopped = _stopped(report)
    numbers = [trial.number for trial in done]
    values = np.array([trial.value for trial in done], float)
    better = np.minimum if report.direction == "minimize" else np.maximum
    axes.plot(numbers, values, "o", color=COLOURS[0], label="completed")
    axes.step(
        numbers,
        better.accumulate(values),
        where="post",
        color=COLOURS[1],
        label="best so far",
    )
    _points(axes, [trial.number for trial in stopped], stopped)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"best {report.metric} of a run")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _setting(axes: Any, report: SweepReport, name: str) -> None:
    done, stopped = report.ranked, _stopped(report)
    values = [trial.settings[name] for trial in done]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)

    def places(trials: Sequence[TrialRow]) -> list[Any]:
        found = [trial.settings[name] for trial in trials]
        return found if plain else [str(value) for value in found]

    axes.plot(places(done), [trial.value for trial in done], "o", color=COLOURS[0])
    _points(axes, places(stopped), stopped)
    if plain and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_xscale("log")
    share = report.importance.get(name)
    axes.set_xlabel(name + ("" if share is None else f" ({100 * share:.0f} %)"))
    axes.grid(alpha=0.3)


def _points(axes: Any, x: Sequence[Any], trials: Sequence[TrialRow]) -> None:
    y = [trial.value for trial in trials]
    axes.plot(x, y, "x", color=STOPPED, label="stopped early" if trials else None)


def _stopped(report: SweepReport) -> list[TrialRow]:
    found = [trial for trial in report.trials if trial.status == "stopped"]
    return [trial for trial in found if trial.value is not None]
