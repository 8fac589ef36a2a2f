"""A table as CSV."""

from __future__ import annotations

import csv
import io

from .cells import Table, csv_cell


def csv_text(table: Table) -> str:
    """With a header; a cell is on one line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, table.columns))
    for row in table.rows:
        writer.writerow(csv_cell(row.get(column)) for column in table.columns)
    return text.getvalue()
