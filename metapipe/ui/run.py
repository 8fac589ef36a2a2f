"""A run: its figures over time, its settings, what judged it, its hardest episodes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..facts.cells import Table
from ..facts.episodes import episode_table
from ..facts.run import checkpoint_table, evaluation_table, facts, pruning_table
from ..runs.removal import remove_runs
from ..store import TaskStore
from ..store.records import EvaluationRow, RunRow
from .curves import (
    UNITS,
    axis_of,
    learning_charts,
    training_charts,
    validation_chart,
)
from .page import page
from .site import site_of

HARDEST = 10
"""Episodes that are listed with the run."""


def show_run(request: Request) -> Response:
    """All of a run on one page."""
    axis = axis_of(request)
    with site_of(request).store() as store:
        row = store.run(request.path_params["run"])
        evaluations = store.evaluations(row.id)
        charts = [validation_chart(store, [row], axis), *training_charts(store, row)]
        context: dict[str, Any] = {
            "evaluations": evaluation_table(evaluations[::-1]),
            "checkpoints": checkpoint_table(store.checkpoints(row.id)),
            "prunings": pruning_table(store.prunings(row.id)),
            "hardest": _hardest(store, row, newest_test(evaluations)),
        }
    if (test := newest_test(evaluations)) is not None:
        charts += learning_charts(test)
    return page(
        request,
        "run.html",
        row=row,
        facts=facts(row),
        settings=_settings(row),
        charts=[chart for chart in charts if chart is not None],
        axis=axis,
        axes=UNITS,
        test=newest_test(evaluations),
        **context,
    )


def newest_test(evaluations: list[EvaluationRow]) -> EvaluationRow | None:
    """The last test, if there is one."""
    return next((e for e in evaluations[::-1] if e.purpose == "test"), None)


def _hardest(store: TaskStore, row: RunRow, test: EvaluationRow | None) -> Table:
    """Of the newest test."""
    if test is None:
        return Table((), ())
    found = store.episodes(row.id, evaluation=test.id, hardest=HARDEST)
    return episode_table(found, acts=row.controls)


def _settings(row: RunRow) -> list[tuple[str, list[tuple[str, Any, str]]]]:
    """Table by table: name, value, and where it came from, if that is known."""

    def origin(name: str) -> str:
        return "" if row.origins is None else row.origins.get(name, "default")

    return [
        (table, [(k, v, origin(f"{table}.{k}")) for k, v in values.items()])
        for table, values in row.config.items()
    ]


def delete_run(request: Request) -> Response:
    """Remove a run with its files, if that is allowed; then the list, unless files
    were left alone."""
    site = site_of(request)
    site.require("delete")
    with site.store() as store:
        removed = remove_runs(store, [request.path_params["run"]])
    if removed.left:
        return page(request, "removed.html", left=removed.left)
    return RedirectResponse("/runs", 303)


ROUTES = [
    Route("/runs/{run}", show_run),
    Route("/runs/{run}/delete", delete_run, methods=["POST"]),
]
