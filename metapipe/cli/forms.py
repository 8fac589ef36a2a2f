"""The forms of a list: a table for people, CSV, LaTeX, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import click

from ..facts.cells import Rows
from ..facts.latex import latex
from .output import echo, print_csv, print_json, print_table

Form = Literal["table", "csv", "latex", "json"]


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
