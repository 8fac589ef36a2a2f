"""A list of runs, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from ..store.listing import pick
from ..store.records import RunRow
from .cells import Table

COLUMNS = (
    "id",
    "name",
    "status",
    "algorithm",
    "model",
    "dataset",
    "seed",
    "step",
    "val_accuracy",
    "accuracy",
    "loss",
    "tags",
    "created",
)


def run_table(rows: Sequence[RunRow], asked: str | None) -> Table:
    """A run a row, of the columns `asked` for with commas between, or of those that are
    usual. Raises UnknownNameError for a column that there is not."""
    columns = _columns(rows, asked)
    return Table(columns, pick(rows, columns))


def with_words(table: Table) -> Table:
    """The tags of each run as words."""
    if "tags" not in table.columns:
        return table
    rows = [{**row, "tags": ", ".join(row["tags"])} for row in table.rows]
    return Table(table.columns, rows)


def _columns(rows: Sequence[RunRow], asked: str | None) -> tuple[str, ...]:
    """Returns of control are usual where there are some."""
    if asked is not None:
        return tuple(map(str.strip, asked.split(",")))
    if not any(row.controls for row in rows):
        return COLUMNS
    place = COLUMNS.index("loss") + 1
    return (*COLUMNS[:place], "return", *COLUMNS[place:])
