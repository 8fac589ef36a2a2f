"""`metapipe adapt`: a new task, from a few examples to a classifier."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..experiment.options import Pairs
from .context import App, pass_app
from .options import json_option, set_option
from .output import echo, heading, print_json, print_table
from .trust import told_of

if TYPE_CHECKING:
    from ..adaptation.adapt_run import Adaptation
    from ..adaptation.judgement import Judgement

CONFUSION = 20
"""A confusion table of more classes is in --json only."""

prediction_option = click.option(
    "--prediction",
    type=click.Choice(["alone", "together"]),
    default="alone",
    help="Whether queries see each other's batch statistics.  [default: alone]",
)
file_type = click.Path(path_type=Path)


@click.command()
@click.argument("run", required=False)
@click.option("--backbone", help="Adapt a frozen network of others instead of a run.")
@click.option(
    "--head",
    help="What learns from its vectors: auto, discriminant, nearest, ridge, logistic, "
    "or one of your own.  [default: auto]",
)
@click.option("--support", type=file_type, help="A folder a class.")
@click.option("--add", type=file_type, help="More examples for an adapted model.")
@click.option(
    "--remove",
    multiple=True,
    help="A class of an adapted model, or an example: CLASS/NAME. May be repeated.",
)
@click.option("--query", type=file_type, help="Labelled examples to be judged by.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the adapted model to this file.",
)
@click.option(
    "--self-contained",
    is_flag=True,
    help="Let that file carry the weights of the backbone.",
)
@click.option(
    "--unreadable",
    type=click.Choice(["error", "skip"]),
    default="error",
    help="What pictures do that cannot be read.  [default: error]",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "latest"]),
    help="Which checkpoint of the run.  [default: best]",
)
@prediction_option
@set_option
@json_option
@pass_app
def adapt(
    app: App,
    /,
    run: str | None,
    backbone: str | None,
    head: str | None,
    support: Path | None,
    add: Path | None,
    remove: tuple[str, ...],
    query: Path | None,
    out: Path | None,
    self_contained: bool,
    unreadable: Any,
    checkpoint: str | None,
    prediction: Any,
    settings: Pairs,
    as_json: bool,
) -> None:
    """Learn your own classes from a few examples each.

    RUN is a number, a name, or 'latest'; with --backbone nothing has to be trained.
    --support is a folder (or zip, or tar) that has a folder a class with pictures of
    any format and size. The new task is kept in the store as an evaluation of the run;
    with --backbone, as a run of its own.

    With --add or --remove, RUN is the file of a model that was adapted by a backbone:
    it learns again from the vectors it keeps, and is written in place or to --out.
    """
    from ..adaptation.adapt_run import adapt_run
    from ..adaptation.amendment import Amendment, amend
    from ..adaptation.new_task import NewTask, tables_of

    if add is not None or remove:
        others = {
            "--support": support,
            "--backbone": backbone,
            "--head": head,
            "--checkpoint": checkpoint,
            "--self-contained": self_contained,
            "-s": settings,
        }
        file = _only_file(run, [name for name, given in others.items() if given])
        found = amend(app, Amendment(file, add, remove, query, unreadable), out)
    else:
        support = _support(run, support)
        task = NewTask(
            support,
            query,
            checkpoint,
            prediction,
            tables_of(settings, backbone),
            backbone,
            head,
            unreadable,
            self_contained,
        )
        found = adapt_run(app, run, task, out)
    if as_json:
        print_json(_facts(found))
    else:
        _print(found)


def _only_file(run: str | None, others: Sequence[str]) -> Path:
    """The adapted model that --add and --remove change; all else is in it."""
    if run is None:
        raise click.UsageError(
            "--add and --remove change the file of an adapted model: metapipe adapt "
            "FILE --add DIR"
        )
    if others:
        raise click.UsageError(
            f"{others[0]} does not go with --add and --remove: the file has its own"
        )
    return Path(run)


def _support(run: str | None, support: Path | None) -> Path:
    """The examples, which only an adapted model has already."""
    if run is not None and Path(run).is_file():
        raise click.UsageError(
            f"'{run}' is a file and no run: change it by --add DIR or --remove NAME"
        )
    if support is None:
        raise click.MissingParameter(param_hint="--support", param_type="option")
    return support


def _facts(found: Adaptation) -> dict[str, Any]:
    trust = found.trust
    typical = trust and trust.typicality
    return {
        "run": found.run,
        "evaluation": found.evaluation,
        "classes": found.counts,
        "support": found.support,
        "query": found.query,
        "expected": trust and trust.estimate,
        "strangers": typical and typical.strangers,
        "mislabelled": found.mislabelled,
        "prediction": found.prediction,
        "transductive": found.transductive,
        "seconds": found.seconds,
        "out": found.out,
    }


def _print(found: Adaptation) -> None:
    classes = found.model.classes
    to = f"{len(classes)} classes" if classes else "a regression"
    echo(
        f"run {found.run} adapted to {to} with {found.support.count} examples in "
        f"{found.seconds:.2f} s: evaluation {found.evaluation}"
    )
    if classes:
        _print_accuracies(found)
    else:
        _print_errors(found)
    if found.out is None:
        echo("not kept: give --out FILE to predict with it")
    else:
        name = str(found.out)
        shown = shlex.quote(f"./{name}" if name.startswith("-") else name)
        echo(f"written to {name}: metapipe predict {shown} FILES")


def _print_errors(found: Adaptation) -> None:
    echo(f"support error     {found.support.loss:.4g} (mean squared)")
    if found.query is not None:
        echo(f"query error       {found.query.loss:.4g} (mean squared)")


def _print_accuracies(found: Adaptation) -> None:
    support = found.support
    assert support.accuracy is not None
    before = (
        "" if support.before is None else f" (before: {100 * support.before:.1f} %)"
    )
    echo(f"support accuracy  {100 * support.accuracy:.1f} %{before}")
    for line in told_of(found):
        echo(line)
    if found.query is not None:
        _print_query(found.query, found.transductive, found.model.classes)


def _print_query(
    query: Judgement, transductive: bool, classes: tuple[str, ...]
) -> None:
    assert query.accuracy is not None
    assert query.low is not None
    assert query.high is not None
    mode = "transductive" if transductive else "each on its own"
    echo(
        f"query accuracy    {100 * query.accuracy:.1f} % of {query.count} (95 % "
        f"interval {100 * query.low:.1f} to {100 * query.high:.1f} %), {mode}"
    )
    if len(classes) <= CONFUSION:
        heading("true class, and what it was taken for")
        rows = [
            {"": name, **dict(zip(classes, row, strict=True))}
            for name, row in zip(classes, query.confusion, strict=True)
        ]
        print_table(rows, ("", *classes))
