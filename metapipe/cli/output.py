"""Output: tables on a terminal, aligned lines in a pipe, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

Rows = Sequence[Mapping[str, Any]]
WORD = 24
"""Words up to this length are not broken in a table."""


def print_json(value: Any) -> None:
    """One JSON document; what is no number in JSON becomes null."""
    click.echo(json_text(value, indent=2))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON, in which nothing stands that JSON has no word for: what is no number
    becomes null."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def print_csv(rows: Rows, columns: Sequence[str]) -> None:
    """CSV with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (_plain(row.get(column)) for column in columns)
        writer.writerow("" if cell is None else cell for cell in cells)
    click.echo(buffer.getvalue(), nl=False)


def print_table(rows: Rows, columns: Sequence[str]) -> None:
    """A table: drawn on a terminal, aligned columns in a pipe."""
    cells = [
        [format_cell(row.get(column), column) for column in columns] for row in rows
    ]
    if sys.stdout.isatty():
        _draw_table(cells, columns)
        return
    widths = [
        max(len(column), *(len(line[i]) for line in cells)) if cells else len(column)
        for i, column in enumerate(columns)
    ]
    for line in [list(columns), *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


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
    shown = [(name, value) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {format_cell(value, name)}")


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
    return str(value)


def accuracy_text(accuracy: float | None, ci95: float | None) -> str | None:
    """`82.47 ± 0.61 %`."""
    if accuracy is not None and ci95 is None:
        return f"{100 * accuracy:.2f} %"
    if accuracy is None or ci95 is None:
        return None
    return f"{100 * accuracy:.2f} ± {100 * ci95:.2f} %"


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
