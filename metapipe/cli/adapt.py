"""`metapipe adapt`: a new task, from a few examples to a classifier."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .context import App, pass_app
from .options import by_table, json_option, set_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..adaptation.adapted_model import AdaptedModel
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
@click.argument("run")
@click.option("--support", type=file_type, required=True, help="A folder a class.")
@click.option("--query", type=file_type, help="Labelled examples to be judged by.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the adapted model to this file.",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "latest"]),
    default="best",
    help="Which checkpoint of the run.  [default: best]",
)
@prediction_option
@set_option
@json_option
@pass_app
def adapt(
    app: App,
    /,
    run: str,
    support: Path,
    query: Path | None,
    out: Path | None,
    checkpoint: str,
    prediction: Any,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Learn your own classes from a few examples each.

    RUN is a number, a name, or 'latest'. --support is a folder (or zip, or tar) that
    has a folder a class with pictures of any format and size. The new task is kept in
    the store as an evaluation of the run.
    """
    from ..adaptation.adapted_model import save
    from ..adaptation.judgement import evaluation_of, judge
    from ..adaptation.task_files import read_examples, require_ways
    from ..adaptation.trained_run import open_run

    begun = time.perf_counter()
    changes = by_table(assignments, ("algorithm",), "adapting")["algorithm"]
    trained = open_run(app.store, app.registry, run, checkpoint, changes)
    encoder = trained.require_encoder()
    kind = trained.learner.problem.kind
    examples = read_examples(support, encoder, kind)
    require_ways(examples, support)
    counts = examples.counts if examples.classes else {}
    queries = None
    if query is not None:
        queries = read_examples(query, encoder, kind, examples.classes or None)
    adapted = trained.adapt(examples.samples, examples.classes)
    on_support = judge(adapted, examples.samples, prediction)
    on_query = queries and judge(adapted, queries.samples, prediction)
    seconds = time.perf_counter() - begun
    settings = {
        "support": str(support.resolve()),
        "query": query and str(query.resolve()),
        "judged": "support" if on_query is None else "query",
        "classes": counts,
        "algorithm": changes,
    }
    new = evaluation_of(
        trained,
        adapted,
        on_query or on_support,
        prediction,
        support.resolve().name,
        settings,
        seconds,
    )
    if out is not None:
        save(adapted, out)
    number = app.store.record_evaluation(trained.row.id, *new, of_the_run=False)
    facts = {
        "run": trained.row.id,
        "evaluation": number,
        "classes": counts,
        "support": on_support,
        "query": on_query,
        "prediction": prediction,
        "transductive": new[0].transductive,
        "seconds": seconds,
        "out": out,
    }
    if as_json:
        print_json(facts)
    else:
        _print(facts, adapted)


def _print(facts: dict[str, Any], adapted: AdaptedModel) -> None:
    support, query = facts["support"], facts["query"]
    to = f"{len(adapted.classes)} classes" if adapted.classes else "a regression"
    click.echo(
        f"run {facts['run']} adapted to {to} with "
        f"{support.count} examples in {facts['seconds']:.2f} s: evaluation "
        f"{facts['evaluation']}"
    )
    if support.accuracy is None:
        click.echo(f"support error     {support.loss:.4g} (mean squared)")
        if query is not None:
            click.echo(f"query error       {query.loss:.4g} (mean squared)")
        _print_out(facts)
        return
    before = (
        "" if support.before is None else f" (before: {100 * support.before:.1f} %)"
    )
    click.echo(f"support accuracy  {100 * support.accuracy:.1f} %{before}")
    if query is not None:
        _print_query(query, facts["transductive"], adapted.classes)
    _print_out(facts)


def _print_out(facts: dict[str, Any]) -> None:
    if facts["out"] is not None:
        name = str(facts["out"])
        shown = shlex.quote(f"./{name}" if name.startswith("-") else name)
        click.echo(f"written to {name}: metapipe predict {shown} FILES")
    else:
        click.echo("not kept: give --out FILE to predict with it")


def _print_query(
    query: Judgement, transductive: bool, classes: tuple[str, ...]
) -> None:
    assert query.accuracy is not None
    assert query.low is not None
    assert query.high is not None
    mode = "transductive" if transductive else "each on its own"
    click.echo(
        f"query accuracy    {100 * query.accuracy:.1f} % of {query.count} (95 % "
        f"interval {100 * query.low:.1f} to {100 * query.high:.1f} %), {mode}"
    )
    if len(classes) <= CONFUSION:
        click.echo("\ntrue class, and what it was taken for")
        rows = [
            {"": name, **dict(zip(classes, row, strict=True))}
            for name, row in zip(classes, query.confusion, strict=True)
        ]
        print_table(rows, ("", *classes))
