"""`metapipe predict`: an adapted model at work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..adaptation.verdict import verdict
from ..errors import MetapipeError, UsageError
from ..printable import how_many
from .context import App, pass_app
from .options import json_option
from .output import echo, print_csv_rows, print_json_rows

if TYPE_CHECKING:
    from ..adaptation.adapted_model import AdaptedModel
    from ..store.records import RunRow

BETWEEN = "|"
"""Classes of a set in a cell of the CSV."""

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
    """Predict files with an adapted model: of each its class, and how sure that is.

    Where one class is not enough, those of which one is right nine times in ten; and
    "none of these?" for what is like no class. All of that only where the model's own
    examples could tell it: 'metapipe adapt' says so.

    PATHS are files, folders, or zips and tars. MODEL is what 'metapipe adapt --out'
    wrote. A file that cannot be read is told of on stderr, and the others are done.
    """
    from ..adaptation.predictions import predictions

    if as_csv and as_json:
        raise click.UsageError("give either --csv or --json")
    adapted = _opened(app, model)
    failures: list[str] = []
    rows = predictions(adapted, paths, failures)
    if as_csv:
        print_csv_rows(_columns(adapted.classes), map(_cells, rows))
    elif as_json:
        print_json_rows(rows)
    else:
        _print(rows)
    if failures:
        _end(failures)


def _opened(app: App, model: Path) -> AdaptedModel:
    """Raises UsageError for a run of the store, with what to do instead."""
    from ..adaptation.adapted_file import load

    if not model.exists() and (row := _run(app, str(model))):
        raise UsageError(_instead(row, model))
    return load(model, app.registry)


def _run(app: App, name: str) -> RunRow | None:
    try:
        return app.store.run(name)
    except MetapipeError:
        return None


def _instead(row: RunRow, name: Path) -> str:
    if row.controls:
        return (
            f"run {row.id} learned to act in worlds of {row.dataset}, and predicts "
            f"nothing of files: metapipe evaluate {row.id} lets it act"
        )
    return (
        f"'{name}' is run {row.id}, and predict takes an adapted model: metapipe adapt "
        f"{name} --support DIR --out FILE makes one"
    )


def _print(rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        if "prediction" in row:
            text = "  ".join(f"{value:.6g}" for value in row["prediction"])
        else:
            text = verdict(row)
        echo(f"{row['path']}: {text}")


def _end(failures: Sequence[str]) -> NoReturn:
    echo(f"{how_many(len(failures), 'file')} could not be read", err=True)
    sys.exit(1)


def _columns(classes: tuple[str, ...]) -> list[str]:
    """The names of the CSV's columns."""
    known = ["label", "probability", "calibrated", "set", "typical"]
    known += [f"p({name})" for name in classes]
    return ["path", *(known if classes else ["prediction"])]


def _cells(row: dict[str, Any]) -> list[str]:
    """A line of the CSV."""
    if "prediction" in row:
        return [row["path"], *(f"{v:.6g}" for v in row["prediction"])]
    typical = row["typical"]
    return [
        row["path"],
        row["label"],
        f"{row['probability']:.6g}",
        "yes" if row["calibrated"] else "no",
        BETWEEN.join(row["set"] or ()),
        "" if typical is None else f"{typical:.6g}",
        *(f"{p:.6g}" for p in row["probabilities"].values()),
    ]
