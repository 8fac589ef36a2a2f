"""Output: tables on a terminal, aligned lines in a pipe, JSON for programs.

Whatever is printed goes through here, and nothing in it acts on a terminal.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from ..printable import ACTING, printable

Rows = Sequence[Mapping[str, Any]]
FORMULA = ("=", "+", "-", "@")
"""With what text begins that a spreadsheet calculates, and may act on."""

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
    _write(f"{json_text(value, indent=2)}\n")


def print_json_rows(rows: Iterable[Any]) -> None:
    """One JSON document, a list that is written as it grows."""
    _write("[")
    for number, row in enumerate(rows):
        _write(f"{',' if number else ''}\n  {json_text(row)}")
    _write("\n]\n")


def print_csv(rows: Rows, columns: Sequence[str]) -> None:
    """CSV with a header."""
    print_csv_rows(columns, ([row.get(column) for column in columns] for row in rows))


def print_csv_rows(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """CSV that is written as it grows; a cell is on one line, and `None` is empty. What
    a spreadsheet would take for a formula has an apostrophe before it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in chain([header], rows):
        writer.writerow(map(_csv_cell, row))


def _csv_cell(value: Any) -> str:
    """Text; numbers, and text that is one, stay as they are."""
    value = _plain(value)
    text = printable("" if value is None else str(value))
    if isinstance(value, str) and text.startswith(FORMULA) and not _is_numeric(text):
        return f"'{text}"
    return text


def _is_numeric(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


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


def format_cell(value: Any, column: str = "") -> str:
    """A value for people: percentages for accuracies, local times, four digits."""
    if value is None or _is_no_number(value):
        return ""
    if isinstance(value, float):
        if "accuracy" in column:
            return f"{100 * value:.2f} %"
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    if isinstance(value, dict | list | tuple):
        return json_text(value)
    return printable(str(value))


def accuracy_text(accuracy: float | None, ci95: float | None) -> str | None:
    """`82.47 ± 0.61 %`."""
    if accuracy is not None and ci95 is None:
        return f"{100 * accuracy:.2f} %"
    if accuracy is None or ci95 is None:
        return None
    return f"{100 * accuracy:.2f} ± {100 * ci95:.2f} %"


def _write(text: str, stream: TextIO | None = None) -> None:
    # not by click, which writes UTF-8 also where the user asked for another encoding
    print(text, end="", file=stream or sys.stdout, flush=True)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON text in what characters stdout has, without any that act on a terminal; what
    is no number, for which JSON has no word, is null."""
    utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    text = json.dumps(
        _plain(value), indent=indent, ensure_ascii=not utf8, allow_nan=False
    )
    return _ACTING.sub(lambda found: json.dumps(found[0])[1:-1], text)


_ACTING = re.compile(rf"(?!\n){ACTING.pattern}")
"""What acts, but for the line breaks between the lines of a document: in its texts JSON
itself escapes them."""


def _plain(value: Any) -> Any:
    """JSON-able."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return None if _is_no_number(value) else value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
