"""`metapipe runs list | show | compare | verify | delete`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UnknownNameError, did_you_mean
from .context import App, pass_app
from .options import json_option
from .output import (
    accuracy_text,
    print_csv,
    print_facts,
    print_json,
    print_table,
)
from .verify import verify

if TYPE_CHECKING:
    from ..runs.comparison import Comparison
    from ..runs.pictures import Axis
    from ..store.records import CheckpointRow, EvaluationRow, RunRow

COLUMNS = (
    "id",
    "name",
    "status",
    "algorithm",
    "model",
    "dataset",
    "step",
    "accuracy",
    "loss",
    "created",
)
COMPARED = ("status", "step", "accuracy", "validation", "loss", "training", "device")


@click.group()
def runs() -> None:
    """Look at the runs in the task store."""


@runs.command(name="list")
@click.option(
    "--where", default="", help="For example 'algorithm=maml and accuracy>0.9'."
)
@click.option(
    "--sort", default="-id", show_default=True, help="Columns; - for falling."
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, help="Rows to pass over.")
@click.option("--columns", help="Columns to show, separated by commas.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@pass_app
def list_(
    app: App,
    where: str,
    sort: str,
    limit: int,
    offset: int,
    columns: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List runs, the newest first.

    --where compares columns, or settings by their dotted names, with = != < <= > >= and
    ~ (contains); conditions are joined by and, or, not and parentheses.
    """
    shown = _columns(columns)
    found = app.store.runs(where, sort=sort, limit=limit, offset=offset)
    rows = [asdict(row) for row in found]
    if as_json:
        print_json(rows if columns is None else [_pick(row, shown) for row in rows])
    elif as_csv:
        print_csv(rows, shown)
    elif rows:
        print_table(rows, shown)
    else:
        none = (
            "no runs match" if where or offset else "no runs yet: try 'metapipe train'"
        )
        click.echo(none)


@runs.command()
@click.argument("run")
@json_option
@pass_app
def show(app: App, run: str, as_json: bool) -> None:
    """Show all of a run: settings, figures, evaluations, checkpoints."""
    row = app.store.run(run)
    evaluations = app.store.evaluations(row.id)
    checkpoints = app.store.checkpoints(row.id)
    if as_json:
        rest = {"evaluations": evaluations, "checkpoints": checkpoints}
        print_json({**asdict(row), **rest})
        return
    _print_run(row)
    _print_evaluations(evaluations)
    _print_checkpoints(checkpoints)


@runs.command(name="compare")
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw validations over training time, with their intervals.",
)
@click.option(
    "--x",
    "axis",
    type=click.Choice(["minutes", "iterations"]),
    default="minutes",
    show_default=True,
    help="What the picture goes over.",
)
@json_option
@pass_app
def compare_(
    app: App, names: tuple[str, ...], png: Path | None, axis: Axis, as_json: bool
) -> None:
    """Set runs side by side: figures, and the settings in which they differ."""
    from ..runs.comparison import compare

    found = compare(app.store, names, png, axis)
    if png is not None:
        click.echo(f"wrote {png}", err=True)
    if as_json:
        print_json({"runs": found.rows, "differences": found.differences})
    else:
        _print_comparison(found)


runs.add_command(verify)


@runs.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def delete(app: App, names: tuple[str, ...], yes: bool) -> None:
    """Delete runs with their episodes and checkpoints."""
    from ..runs.removal import remove_run

    rows = {row.id: row for row in map(app.store.run, names)}
    for row in rows.values():
        label = f"run {row.id}" + (f" '{row.name}'" if row.name else "")
        if not yes and not click.confirm(f"Delete {label} and its files?", err=True):
            click.echo(f"kept {label}", err=True)
            continue
        remove_run(app.store, row.id)
        click.echo(f"deleted {label}")


def _print_run(row: RunRow) -> None:
    print_facts(_facts(row))
    click.echo()
    for table, values in row.config.items():
        click.echo(f"[{table}]  " + "  ".join(f"{k}={v}" for k, v in values.items()))


def _print_comparison(found: Comparison) -> None:
    names = [f"run {row.id}" for row in found.rows]
    facts = [dict(_facts(row)) for row in found.rows]
    figures = {name: [each.get(name) for each in facts] for name in COMPARED}
    table = [
        {"": name, **dict(zip(names, values, strict=True))}
        for name, values in (*figures.items(), *found.differences.items())
    ]
    print_table(table, ("", *names))


def _columns(text: str | None) -> tuple[str, ...]:
    if text is None:
        return COLUMNS
    from ..store.records import RunRow

    known = [f.name for f in fields(RunRow)]
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in known:
            raise UnknownNameError(f"no column '{name}'; {did_you_mean(name, known)}")
    return chosen


def _pick(row: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: row[column] for column in columns}


def _facts(row: RunRow) -> list[tuple[str, Any]]:
    seconds = row.train_seconds
    validation = row.val_accuracy
    return [
        ("run", f"{row.id}" + (f" '{row.name}'" if row.name else "")),
        ("status", row.status),
        ("reason", row.reason),
        ("error", row.error),
        ("tags", ", ".join(row.tags) or None),
        ("notes", row.notes),
        ("what", f"{row.algorithm} on {row.model}, {row.dataset}, seed {row.seed}"),
        ("task", f"{row.ways}-way {row.shots}-shot, {row.queries} queries"),
        ("step", f"{row.step} of {row.iterations}"),
        ("accuracy", accuracy_text(row.accuracy, row.accuracy_ci95)),
        ("validation", None if validation is None else f"{100 * validation:.2f} %"),
        ("loss", row.loss),
        ("training", None if seconds is None else f"{seconds:.1f} s"),
        ("device", f"{row.device}, tasks mapped by {row.mapping}"),
        ("created", row.created),
        ("finished", row.finished),
        ("repeats run", row.parent_id),
        ("git", _git(row)),
        ("plugins", ", ".join(f"{k} ({v})" for k, v in row.plugins.items())),
        ("data", row.fingerprint),
        ("problem", _words(row.problem or {})),
        ("encoder", _words(row.encoder or {})),
        ("backbone", row.backbone),
        ("job", row.job),
        ("study", None if row.study is None else f"{row.study}, trial {row.trial}"),
        ("environment", _words(row.environment)),
        ("directory", row.directory),
    ]


def _words(values: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or None


def _git(row: RunRow) -> str | None:
    if row.git_commit is None:
        return None
    return row.git_commit + (" with uncommitted changes" if row.git_dirty else "")


def _print_evaluations(evaluations: list[EvaluationRow]) -> None:
    if not evaluations:
        return
    click.echo("\nevaluations")
    rows = [
        {
            **asdict(e),
            "accuracy": accuracy_text(e.accuracy, e.accuracy_ci95),
            "task": f"{e.ways}-way {e.shots}-shot",
            "data": f"{e.dataset}/{e.split}",
            "changed": ", ".join(f"{k}={v}" for k, v in e.settings.items()),
        }
        for e in evaluations
    ]
    columns = ("id", "purpose", "data", "task", "episodes", "seed", "step")
    figures = ("accuracy", "loss", "transductive", "changed")
    print_table(rows, columns + figures)


def _print_checkpoints(checkpoints: list[CheckpointRow]) -> None:
    if checkpoints:
        click.echo("\ncheckpoints")
        rows = [asdict(checkpoint) for checkpoint in checkpoints]
        print_table(rows, ("which", "step", "sha256", "path"))
