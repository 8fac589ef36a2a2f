"""A run: its figures over time, its settings, what judged it, its hardest episodes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..facts.episodes import episode_table
from ..facts.run import checkpoint_table, evaluation_table, facts, pruning_table
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
        context = {
            "evaluations": evaluation_table(evaluations[::-1]),
            "checkpoints": checkpoint_table(store.checkpoints(row.id)),
            "prunings": pruning_table(store.prunings(row.id)),
            "hardest": _hardest(store, row),
        }
    charts += [c for e in newest_test(evaluations) for c in learning_charts(e)]
    return page(
        request,
        "run.html",
        row=row,
        facts=facts(row),
        settings=_settings(row),
        charts=[chart for chart in charts if chart is not None],
        axis=axis,
        axes=UNITS,
        **context,
    )


def newest_test(evaluations: list[EvaluationRow]) -> list[EvaluationRow]:
    """The last test, if there is one."""
    return [each for each in evaluations if each.purpose == "test"][-1:]


def _hardest(store: TaskStore, row: RunRow) -> Any:
    found = store.episodes(row.id, where="purpose=test", hardest=HARDEST)
    return episode_table(found, acts=row.controls)


def _settings(row: RunRow) -> list[tuple[str, list[tuple[str, Any, str]]]]:
    """Table by table: name, value, and where it came from, if that is known."""

    def origin(name: str) -> str:
        return "" if row.origins is None else row.origins.get(name, "default")

    return [
        (table, [(k, v, origin(f"{table}.{k}")) for k, v in values.items()])
        for table, values in row.config.items()
    ]


ROUTES = [Route("/runs/{run}", show_run)]
