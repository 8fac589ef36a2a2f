"""`metapipe runs list | show | compare | confusion | tag | note | ...`."""

from __future__ import annotations

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
from .run_facts import print_run
from .verify import verify

if TYPE_CHECKING:
    from ..store.records import RunRow


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
    none = "no runs match" if where or offset else "no runs yet: try 'metapipe train'"
    print_runs(rows, columns, form, none)


@runs.command()
@click.argument("run")
@json_option
@pass_app
def show(app: App, run: str, as_json: bool) -> None:
    """Show all of a run: settings, figures, evaluations, checkpoints."""
    row = app.store.run(run)
    if not as_json:
        print_run(row, app.store)
        return
    evaluations = app.store.evaluations(row.id)
    checkpoints, prunings = app.store.checkpoints(row.id), app.store.prunings(row.id)
    rest = {"evaluations": evaluations, "checkpoints": checkpoints}
    print_json({**_whole(row), **rest, "prunings": prunings})


def print_runs(
    rows: list[RunRow], columns: str | None, form: Form | None, none: str
) -> None:
    """A run a row, in that form; for programs all of it, if no columns are named."""
    from ..facts.runs import run_table, with_words

    if form == "json" and columns is None:
        print_json([_whole(row) for row in rows])
        return
    table = run_table(rows, columns)
    shown = table if form == "json" else with_words(table)
    print_rows(shown.rows, shown.columns, form, none)


def _whole(row: RunRow) -> dict[str, Any]:
    """All of a run, for programs."""
    return {**asdict(row), "return": row.mean_return}
