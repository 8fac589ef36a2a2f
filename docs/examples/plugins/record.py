"""An observer: every figure of every run, a line each, in the run's own folder."""

import csv
from collections.abc import Mapping

from metapipe import RunInfo, hookimpl


@hookimpl
def step_recorded(run: RunInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Append the figures of this step."""
    with (run.directory / "figures.csv").open("a", newline="") as file:
        csv.writer(file).writerows((step, name, metrics[name]) for name in metrics)


@hookimpl
def run_finished(run: RunInfo, status: str, metrics: Mapping[str, float]) -> None:
    """Append how it ended: the figures of the test."""
    step_recorded(run, -1, metrics)
