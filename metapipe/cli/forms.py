"""The forms of a list: a table for people, CSV, LaTeX, JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import click

from .output import Rows, echo, format_cell, print_csv, print_json, print_table

Form = Literal["table", "csv", "latex", "json"]

LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "\n": " ",
}
"""What means something to LaTeX, or is not in its fonts, and how it is written."""


def form_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--csv, --latex and --json; the form arrives as `form`, a table if none is
    given."""
    for form, text in (
        ("json", "Print one JSON document for programs."),
        ("latex", "Print a LaTeX table, for the package booktabs."),
        ("csv", "Print CSV."),
    ):
        option = click.option(f"--{form}", "form", flag_value=form, help=text)
        function = option(function)
    return function


def print_rows(
    rows: Rows, columns: Sequence[str], form: Form | None, none: str
) -> None:
    """A list in that form; `none` is what a person is told of an empty one."""
    if form == "json":
        print_json(rows)
    elif form == "csv":
        print_csv(rows, columns)
    elif form == "latex":
        for line in latex(rows, columns).splitlines():
            echo(line)
    elif rows:
        print_table(rows, columns)
    else:
        echo(none)


def latex(rows: Rows, columns: Sequence[str]) -> str:
    """A table of LaTeX's package booktabs; numbers stand at the right."""
    numbers = [
        all(isinstance(row.get(c), int | float | None) for row in rows) for c in columns
    ]
    cells = [[format_cell(row.get(c), c) for c in columns] for row in rows]
    lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (columns, *cells)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{''.join('r' if n else 'l' for n in numbers)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^±\n]", lambda found: LATEX[found[0]], text)
