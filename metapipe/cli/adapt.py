"""`metapipe adapt`, `predict` and `export`: a new task, from files to a classifier."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError, SettingError
from .context import App, pass_app
from .options import json_option, set_option
from .output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..adapted import Adapted
    from ..trained import Judgement

CONFUSION = 20
"""A confusion table of more classes is in --json only."""

BATCH = 64
"""Files predicted at a time."""

TOP = 3
"""Classes told of each file on the terminal."""

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
    from ..adapted import save
    from ..examples import read_examples, require_ways
    from ..trained import evaluation_of, judge, open_run

    begun = time.perf_counter()
    changes = _algorithm_settings(assignments)
    trained = open_run(app.store, app.registry, run, checkpoint, changes)
    encoder = trained.require_encoder()
    examples = read_examples(support, encoder)
    require_ways(examples, support)
    queries = None
    if query is not None:
        queries = read_examples(query, encoder, examples.classes)
    adapted = trained.adapt(examples.samples, examples.classes)
    on_support = judge(adapted, examples.samples, prediction)
    on_query = queries and judge(adapted, queries.samples, prediction)
    seconds = time.perf_counter() - begun
    settings = {
        "support": str(support.resolve()),
        "query": query and str(query.resolve()),
        "judged": "support" if on_query is None else "query",
        "classes": examples.counts,
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
    number = app.store.record_evaluation(trained.row.id, *new)
    if out is not None:
        save(adapted, out)
    facts = {
        "run": trained.row.id,
        "evaluation": number,
        "classes": examples.counts,
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


@click.command()
@click.argument("model", type=file_type)
@click.argument("paths", type=file_type, nargs=-1, required=True)
@click.option("--csv", "as_csv", is_flag=True, help="A line a file, with all classes.")
@json_option
@pass_app
def predict(
    app: App, /, model: Path, paths: tuple[Path, ...], as_csv: bool, as_json: bool
) -> None:
    """Predict files with an adapted model: label and probabilities of each.

    PATHS are files, folders, or zips and tars. MODEL is what 'metapipe adapt --out'
    wrote. A file that cannot be read is told of on stderr, and the others are done.
    """
    from ..adapted import load

    adapted = load(model, app.registry)
    failures: list[str] = []
    rows = _predictions(adapted, paths, failures)
    if as_csv:
        _write_csv(rows, adapted.classes)
    elif as_json:
        _write_json(rows)
    else:
        for row in rows:
            ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
            text = "  ".join(f"{name} {100 * p:.1f} %" for name, p in ranked[:TOP])
            click.echo(f"{row['path']}: {text}")
    if failures:
        click.echo(f"{len(failures)} files could not be read", err=True)
        sys.exit(1)


@click.command()
@click.argument("model", type=file_type)
@click.option("--onnx", type=file_type, help="Write an ONNX file.")
@click.option("--torch", "program", type=file_type, help="Write a torch.export file.")
@json_option
@pass_app
def export(
    app: App, /, model: Path, onnx: Path | None, program: Path | None, as_json: bool
) -> None:
    """Write an adapted model for deployment, and check it against our own output.

    It takes inputs as the data set has them: images (n, C, H, W) in [0, 1], already of
    their size. ONNX needs pip install 'metapipe[onnx]'.
    """
    from ..adapted import load
    from ..export import export_onnx, export_program

    if (onnx is None) == (program is None):
        raise click.UsageError("give either --onnx FILE or --torch FILE")
    adapted = load(model, app.registry, "cpu")
    if onnx is not None:
        difference, written = export_onnx(adapted, onnx), onnx
    else:
        assert program is not None
        difference, written = export_program(adapted, program), program
    facts = {
        "file": str(written),
        "input": ["n", *adapted.learner.problem.shape],
        "output": ["n", len(adapted.classes) or adapted.learner.problem.outputs],
        "classes": list(adapted.classes),
        "largest_difference": difference,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts.items())


def _algorithm_settings(assignments: tuple[str, ...]) -> dict[str, Any]:
    from ..config import parse_assignment

    changes = {}
    for name, value in map(parse_assignment, assignments):
        table, _, field = name.partition(".")
        if table != "algorithm":
            raise SettingError(f"--set '{name}': adapting takes algorithm.NAME only")
        changes[field] = value
    return changes


def _print(facts: dict[str, Any], adapted: Adapted) -> None:
    support, query = facts["support"], facts["query"]
    click.echo(
        f"run {facts['run']} adapted to {len(adapted.classes)} classes with "
        f"{support.count} examples in {facts['seconds']:.2f} s: evaluation "
        f"{facts['evaluation']}"
    )
    before = (
        "" if support.before is None else f" (before: {100 * support.before:.1f} %)"
    )
    click.echo(f"support accuracy  {100 * support.accuracy:.1f} %{before}")
    if query is not None:
        _print_query(query, facts["transductive"], adapted.classes)
    if facts["out"] is not None:
        click.echo(f"written to {facts['out']}: metapipe predict {facts['out']} FILES")
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


def _predictions(
    adapted: Adapted, paths: tuple[Path, ...], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """A row a file, in order; a batch is held at a time."""
    import torch

    from ..examples import each_file

    if adapted.encoder is None:
        raise DataError("this model does not tell how files become inputs")
    batch: list[tuple[str, Any]] = []
    for file in each_file(paths):
        try:
            batch.append((file.origin, adapted.encoder.encode([file.read()])))
        except DataError as error:
            failures.append(file.origin)
            text = str(error).replace("the image", file.origin)
            click.echo(f"skipped: {text}", err=True)
        if len(batch) == BATCH:
            yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))
            batch.clear()
    if batch:
        yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))


def _batch(
    adapted: Adapted, batch: list[tuple[str, Any]], inputs: Any
) -> Iterator[dict[str, Any]]:
    probabilities = adapted.probabilities(inputs).tolist()
    for (path, _), row in zip(batch, probabilities, strict=True):
        named = dict(zip(adapted.classes, row, strict=True))
        label = max(named, key=lambda name: named[name])
        yield {
            "path": path,
            "label": label,
            "probability": named[label],
            "probabilities": named,
        }


def _write_csv(rows: Iterator[dict[str, Any]], classes: tuple[str, ...]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "label", "probability", *(f"p({n})" for n in classes)])
    for row in rows:
        figures = [row["probability"], *row["probabilities"].values()]
        writer.writerow([row["path"], row["label"], *(f"{p:.6g}" for p in figures)])


def _write_json(rows: Iterator[dict[str, Any]]) -> None:
    """One document, written as it grows."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        text = json.dumps(row, ensure_ascii=False)
        click.echo(f"{',' if number else ''}\n  {text}", nl=False)
    click.echo("\n]")
