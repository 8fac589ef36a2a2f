"""Runs side by side: curves over each other, figures, settings that differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..errors import UsageError
from ..facts.cells import Table
from ..facts.comparison import comparison_table
from ..facts.csv_form import csv_text
from ..facts.groups import ABOUT, as_numbers, as_texts
from ..facts.latex import latex
from ..store import TaskStore
from ..store.records import RunRow
from .curves import UNITS, axis_of, validation_chart
from .page import page
from .site import site_of

MOST = 30
"""Runs that are compared: more lines and columns nobody tells apart."""


@dataclass(frozen=True)
class Asked:
    """Which runs an address compares: those named, or those that match a filter."""

    run: list[str]
    where: str
    group_by: str

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Runs may be named one a parameter, or with commas or blanks between."""
        given = request.query_params
        names = " ".join(given.getlist("run")).replace(",", " ").split()
        words = (given.get(name, "").strip() for name in ("where", "group_by"))
        return cls(list(dict.fromkeys(names)), *words)

    def rows(self, store: TaskStore) -> list[RunRow]:
        """The runs. Raises UsageError for too many, or if nothing is asked for."""
        count = store.count_runs(self.where) if self.where else len(self.run)
        if count > MOST:
            raise UsageError(f"{count:,} runs: a comparison is of {MOST} at most")
        if self.where:
            return store.runs(self.where, sort="id", limit=MOST)
        return [store.run(name) for name in self.run]

    def table(self, store: TaskStore, *, numbers: bool = False) -> Table:
        """A row a group, or a column a run; intervals as numbers of their own, if that
        is asked."""
        from ..runs.comparison import compare

        by = self.group_by or None
        found = compare(store, self.run, where=self.where, group_by=by)
        if by is None:
            return comparison_table(found.rows, found.differences)
        rows = [as_numbers(g) if numbers else as_texts(g) for g in found.groups]
        return Table(tuple(rows[0]) if rows else (), rows)


def show_comparison(request: Request) -> Response:
    """The comparison as a page, or a form that asks for runs."""
    asked, axis = Asked.of(request), axis_of(request)
    table, chart = Table((), ()), None
    if asked.run or asked.where:
        with site_of(request).store() as store:
            rows = asked.rows(store)
            table = asked.table(store)
            chart = validation_chart(store, rows, axis, asked.group_by)
    return page(
        request,
        "comparison.html",
        asked=asked,
        words=asdict(asked),
        table=table,
        chart=chart,
        about=ABOUT if asked.group_by else None,
        axis=axis,
        axes=UNITS,
    )


def give_csv(request: Request) -> Response:
    """The table as CSV."""
    with site_of(request).store() as store:
        table = _whole(request, store)
    return PlainTextResponse(csv_text(table), media_type="text/csv")


def give_latex(request: Request) -> Response:
    """The table as LaTeX, for the package booktabs."""
    with site_of(request).store() as store:
        table = _whole(request, store)
    return PlainTextResponse(latex(table.rows, table.columns) + "\n")


def _whole(request: Request, store: TaskStore) -> Table:
    asked = Asked.of(request)
    asked.rows(store)
    return asked.table(store, numbers=request.url.path.endswith(".csv"))


ROUTES = [
    Route("/compare", show_comparison),
    Route("/compare.csv", give_csv),
    Route("/compare.tex", give_latex),
]
