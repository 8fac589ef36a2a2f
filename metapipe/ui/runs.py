"""The list of runs, or of groups over seeds: what `runs list` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import UsageError
from ..facts.cells import Table
from ..facts.groups import ABOUT, as_texts
from ..facts.runs import run_table, with_words
from ..store import TaskStore
from .page import page, whole_number
from .site import site_of
from .status import line_of, status_of

ROWS = 50
"""Of a page."""

SEEDS = "algorithm,model,dataset,ways,shots"
"""What runs of one setting have in common, for who folds seeds by one click."""


@dataclass(frozen=True)
class Asked:
    """What an address asks for; the words are those of `runs list`."""

    where: str = ""
    sort: str = ""
    columns: str = ""
    group_by: str = ""
    page: int = 1

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Raises UsageError for a page that is no number."""
        given = request.query_params
        names = [field.name for field in fields(cls) if field.name != "page"]
        words = {name: given.get(name, "").strip() for name in names}
        return cls(**words, page=whole_number("page", given.get("page", "1")))

    @property
    def offset(self) -> int:
        """Rows of the pages before."""
        return (self.page - 1) * ROWS

    def sorted_by(self, column: str) -> Asked:
        """The same by that column: falling, and rising the second time."""
        sort = column if self.sort == f"-{column}" else f"-{column}"
        return replace(self, sort=sort, page=1)

    def order_of(self, column: str) -> str | None:
        """How a column is sorted, in the words of ARIA."""
        orders = {column: "ascending", f"-{column}": "descending"}
        return orders.get(self.sort)


def show_runs(request: Request) -> Response:
    """A page of runs; what cannot be asked is told above an empty list."""
    asked = Asked()
    try:
        asked = Asked.of(request)
        with site_of(request).store() as store:
            found = _groups(store, asked) if asked.group_by else _runs(store, asked)
    except UsageError as error:
        table = Table((), ())
        found = {"table": table, "more": False, "count": 0, "running": False}
        found |= {"ids": (), "line": line_of(error), "status": status_of(error)}
    status = found.pop("status", 200)
    return page(
        request,
        "runs.html",
        status,
        **{"line": None, "about": None, **found},
        asked=asked,
        words=asdict(asked),
        seeds=SEEDS,
    )


def _runs(store: TaskStore, asked: Asked) -> dict[str, Any]:
    sort = asked.sort or "-id"
    rows = store.runs(asked.where, sort=sort, limit=ROWS, offset=asked.offset)
    return {
        "table": with_words(run_table(rows, asked.columns or None)),
        "ids": [row.id for row in rows],
        "count": store.count_runs(asked.where),
        "more": False,
        "running": any(row.status == "running" for row in rows),
    }


def _groups(store: TaskStore, asked: Asked) -> dict[str, Any]:
    found = store.groups(
        asked.group_by,
        asked.where,
        figures=asked.columns or None,
        sort=asked.sort or None,
        limit=ROWS + 1,
        offset=asked.offset,
    )
    rows = [as_texts(group) for group in found[:ROWS]]
    return {
        "table": Table(tuple(rows[0]) if rows else (), rows),
        "ids": (),
        "count": None,
        "more": len(found) > ROWS,
        "running": False,
        "about": ABOUT,
    }


ROUTES = [Route("/runs", show_runs)]
