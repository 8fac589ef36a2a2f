"""`metapipe predict` and `export`: an adapted model at work."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError
from .context import App, pass_app
from .options import json_option
from .output import print_facts, print_json

if TYPE_CHECKING:
    from ..adaptation.adapted_model import Adapted

BATCH = 64
"""Files predicted at a time."""

TOP = 3
"""Classes told of each file on the terminal."""

file_type = click.Path(path_type=Path)
new_file = click.Path(path_type=Path, dir_okay=False)


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
    from ..adaptation.adapted_model import load

    if as_csv and as_json:
        raise click.UsageError("give either --csv or --json")
    adapted = load(model, app.registry)
    failures: list[str] = []
    rows = _predictions(adapted, paths, failures)
    if as_csv:
        _write_csv(rows, adapted.classes)
    elif as_json:
        _write_json(rows)
    else:
        for row in rows:
            if "prediction" in row:
                numbers = "  ".join(f"{value:.6g}" for value in row["prediction"])
                click.echo(f"{row['path']}: {numbers}")
                continue
            ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
            text = "  ".join(f"{name} {100 * p:.1f} %" for name, p in ranked[:TOP])
            click.echo(f"{row['path']}: {text}")
    if failures:
        plural = "s" if len(failures) > 1 else ""
        click.echo(f"{len(failures)} file{plural} could not be read", err=True)
        sys.exit(1)


@click.command()
@click.argument("model", type=file_type)
@click.option("--onnx", type=new_file, help="Write an ONNX file.")
@click.option("--torch", "program", type=new_file, help="Write a torch.export file.")
@json_option
@pass_app
def export(
    app: App, /, model: Path, onnx: Path | None, program: Path | None, as_json: bool
) -> None:
    """Write an adapted model for deployment, and check it against our own output.

    It takes inputs as the data set has them: images (n, C, H, W) in [0, 1], already of
    their size. ONNX needs pip install 'metapipe[onnx]'.
    """
    from ..adaptation.adapted_model import load
    from ..adaptation.export import export_onnx, export_program

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


def _predictions(
    adapted: Adapted, paths: tuple[Path, ...], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """A row a file, in order; a batch is held at a time."""
    import torch

    from ..adaptation.task_files import each_item, named_reason

    if adapted.encoder is None:
        raise DataError("this model does not tell how files become inputs")
    batch: list[tuple[str, Any]] = []
    for name, read in each_item(paths, adapted.encoder):
        try:
            batch.append((name, adapted.encoder.encode([read()])))
        except DataError as error:
            failures.append(name)
            click.echo(f"skipped: {named_reason(error, name)}", err=True)
        if len(batch) == BATCH:
            yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))
            batch.clear()
    if batch:
        yield from _batch(adapted, batch, torch.cat([t for _, t in batch]))


def _batch(
    adapted: Adapted, batch: list[tuple[str, Any]], inputs: Any
) -> Iterator[dict[str, Any]]:
    if not adapted.classes:
        for (path, _), values in zip(batch, adapted.outputs(inputs), strict=True):
            yield {"path": path, "prediction": values.tolist()}
        return
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
    known = ["label", "probability", *(f"p({n})" for n in classes)]
    writer.writerow(["path", *(known if classes else ["prediction"])])
    for row in rows:
        if "prediction" in row:
            writer.writerow([row["path"], *(f"{v:.6g}" for v in row["prediction"])])
            continue
        figures = [row["probability"], *row["probabilities"].values()]
        writer.writerow([row["path"], row["label"], *(f"{p:.6g}" for p in figures)])


def _write_json(rows: Iterator[dict[str, Any]]) -> None:
    """One document, written as it grows."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        text = json.dumps(row, ensure_ascii=False)
        click.echo(f"{',' if number else ''}\n  {text}", nl=False)
    click.echo("\n]")
