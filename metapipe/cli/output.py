"""Output: tables on a terminal, aligned lines in a pipe, JSON for programs.

Whatever is printed goes through here, and nothing in it acts on a terminal.
"""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TextIO

from ..facts.cells import Rows, csv_cell, format_cell, json_text
from ..printable import printable

WORD = 24
"""Words up to this length are not broken in a table."""


def echo(text: str = "", *, err: bool = False) -> None:
    """One line, on stdout or stderr."""
    _write(f"{printable(text)}\n", sys.stderr if err else sys.stdout)


def heading(text: str) -> None:
    """A line after an empty one."""
    echo()
    echo(text)


def print_json(value: Any) -> None:
    """One JSON document; what is no number in JSON becomes null."""
    _write(f"{_json(value, indent=2)}\n")


def print_json_rows(rows: Iterable[Any]) -> None:
    """One JSON document, a list that is written as it grows."""
    _write("[")
    for number, row in enumerate(rows):
        _write(f"{',' if number else ''}\n  {_json(row)}")
    _write("\n]\n")


def print_csv(rows: Rows, columns: Sequence[str]) -> None:
    """CSV with a header."""
    print_csv_rows(columns, ([row.get(column) for column in columns] for row in rows))


def print_csv_rows(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """CSV that is written as it grows; a cell is on one line, and `None` is empty. What
    a spreadsheet would take for a formula has an apostrophe before it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in chain([header], rows):
        writer.writerow(map(csv_cell, row))


def print_table(rows: Rows, columns: Sequence[str]) -> None:
    """A table: drawn on a terminal, aligned columns in a pipe."""
    titles = [printable(column) for column in columns]
    cells = [
        [format_cell(row.get(column), column) for column in columns] for row in rows
    ]
    if sys.stdout.isatty():
        _draw_table(cells, titles)
        return
    widths = [
        max(len(title), *(len(line[i]) for line in cells)) if cells else len(title)
        for i, title in enumerate(titles)
    ]
    for line in [titles, *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(padded).rstrip())


def _draw_table(cells: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    # imported here, because every command's help imports this module
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )
    # Words stay whole where the terminal is wide enough for that.
    least = [
        min(max(len(word) for cell in column for word in [*cell.split(), ""]), WORD)
        for column in zip(columns, *cells, strict=True)
    ]
    whole = sum(least) + 2 * len(least) <= console.width
    for i, column in enumerate(columns):
        fixed = whole and all(len(line[i]) <= least[i] for line in cells)
        width = least[i] if whole else None
        table.add_column(column, overflow="fold", min_width=width, no_wrap=fixed)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line; None is left out."""
    shown = [(printable(name), v) for name, v in facts if v is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        echo(f"{name.ljust(width)}  {format_cell(value, name)}")


def _write(text: str, stream: TextIO | None = None) -> None:
    # not by click, which writes UTF-8 also where the user asked for another encoding
    print(text, end="", file=stream or sys.stdout, flush=True)


def _json(value: Any, indent: int | None = None) -> str:
    """In what characters stdout has."""
    utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    return json_text(value, indent, ascii_only=not utf8)
