"""`metapipe runs list | show | compare | confusion | tag | note | ...`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .carrying import export, import_
from .compare import compare
from .confusion import confusion
from .context import App, pass_app
from .delete import delete
from .forms import Form, form_options, print_rows
from .groups import print_groups
from .labels import note, tag
from .options import json_option
from .output import print_json
from .run_facts import (
    print_checkpoints,
    print_evaluations,
    print_prunings,
    print_run,
)
from .verify import verify

if TYPE_CHECKING:
    from ..store.records import RunRow

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


@click.group()
def runs() -> None:
    """Look at the runs in the task store."""


for command in (compare, confusion, tag, note, verify, delete, export, import_):
    runs.add_command(command)


@runs.command(name="list")
@click.option(
    "--where", default="", help="For example 'algorithm=maml and val_accuracy>0.9'."
)
@click.option(
    "--sort",
    help="Columns; - for falling.  [default: -id; -val_accuracy of groups]",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, help="Rows to pass over.")
@click.option(
    "--columns",
    help="What to show, with commas between: columns, settings such as training.lr, "
    "final figures such as metrics.val_loss; of groups, figures.",
)
@click.option(
    "--group-by",
    metavar="COLUMNS",
    help="Means over seeds, with intervals: a row for each value of these columns or "
    "settings, for example algorithm,dataset.",
)
@form_options
@pass_app
def list_(
    app: App,
    where: str,
    sort: str | None,
    limit: int,
    offset: int,
    columns: str | None,
    group_by: str | None,
    form: Form | None,
) -> None:
    """List runs, the newest first.

    --where compares columns, or settings by their dotted names, with = != < <= > >= and
    ~ (contains); conditions are joined by and, or, not and parentheses. Choose by
    val_accuracy: accuracy is that of the test, for the end.
    """
    if group_by is not None:
        groups = app.store.groups(
            group_by, where, figures=columns, sort=sort, limit=limit, offset=offset
        )
        print_groups(groups, form)
        return
    rows = app.store.runs(where, sort=sort or "-id", limit=limit, offset=offset)
    names = _columns(rows, columns)
    whole = form == "json" and columns is None
    shown = [_whole(row) for row in rows] if whole else _shown(rows, names, form)
    none = "no runs match" if where or offset else "no runs yet: try 'metapipe train'"
    print_rows(shown, names, form, none)


@runs.command()
@click.argument("run")
@json_option
@pass_app
def show(app: App, run: str, as_json: bool) -> None:
    """Show all of a run: settings, figures, evaluations, checkpoints."""
    row = app.store.run(run)
    evaluations = app.store.evaluations(row.id)
    checkpoints, prunings = app.store.checkpoints(row.id), app.store.prunings(row.id)
    if as_json:
        rest = {"evaluations": evaluations, "checkpoints": checkpoints}
        rest["prunings"] = prunings
        print_json({**_whole(row), **rest})
        return
    print_run(row)
    print_evaluations(evaluations)
    print_checkpoints(checkpoints)
    print_prunings(prunings)


def _columns(rows: Sequence[RunRow], asked: str | None) -> tuple[str, ...]:
    """What is asked for, or those that are usual; returns where there are some."""
    if asked is not None:
        return tuple(map(str.strip, asked.split(",")))
    if not any(row.controls for row in rows):
        return COLUMNS
    place = COLUMNS.index("loss") + 1
    return (*COLUMNS[:place], "return", *COLUMNS[place:])


def _whole(row: RunRow) -> dict[str, Any]:
    """All of a run, for programs."""
    return {**asdict(row), "return": row.mean_return}


def _shown(
    rows: Sequence[RunRow], names: Sequence[str], form: Form | None
) -> list[dict[str, Any]]:
    """A run a row; tags are words, but for programs."""
    from ..store.listing import pick

    picked = pick(rows, names)
    if form != "json":
        for row in picked:
            row |= {"tags": ", ".join(row["tags"])} if "tags" in row else {}
    return picked
