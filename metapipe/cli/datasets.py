"""`metapipe datasets list | show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..experiment.options import Pairs
from ..facts.datasets import SHOWN, dataset_table, shared_line, split_table
from .context import App, pass_app
from .options import json_option, set_option_like
from .output import echo, heading, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..runs.dataset_report import DatasetReport


@click.group()
def datasets() -> None:
    """See what data there are."""


@datasets.command(name="list")
@json_option
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List the data sets that can be used."""
    table = dataset_table(app.catalogue.plugins)
    if as_json:
        print_json(table.rows)
        return
    print_table(table.rows, table.columns)


@datasets.command()
@click.argument("name")
@set_option_like("dataset.root=PATH")
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw sample episodes of the training split into a file.",
)
@click.option("--ways", type=click.IntRange(1), default=5, help="Of a sample episode.")
@click.option("--shots", type=click.IntRange(1), default=1, help="Of a sample episode.")
@click.option("--queries", type=click.IntRange(1), default=5, help="Likewise.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the episodes.")
@click.option("--classes", "list_classes", is_flag=True, help="List every class.")
@json_option
@pass_app
def show(
    app: App,
    /,
    name: str,
    settings: Pairs,
    png: Path | None,
    ways: int,
    shots: int,
    queries: int,
    seed: int,
    list_classes: bool,
    as_json: bool,
) -> None:
    """Show a data set: splits, classes, items, shapes, sizes, and items in two splits.

    Its settings are those of metapipe.toml and of the environment, and what is given as
    -s dataset.root=PATH and so on.
    """
    from ..runs.dataset_report import Pictured, report

    pictured = None if png is None else Pictured(png, ways, shots, queries, seed)
    found = report(app, name, settings, pictured)
    if as_json:
        print_json(_as_dict(found, png))
        return
    _print(found)
    if list_classes:
        _print_classes(found)
    if png is not None:
        echo(f"drawn to {png}")


def _as_dict(found: DatasetReport, png: Path | None) -> dict[str, Any]:
    return {
        "dataset": found.name,
        "splits": split_table(found.sources).rows,
        "shared": found.shared,
        "settings": found.settings,
        "png": png,
        "classes": {
            split: list(source.facts.classes) for split, source in found.sources.items()
        },
    }


def _print(found: DatasetReport) -> None:
    table = split_table(found.sources)
    print_table(table.rows, table.columns)
    if line := shared_line(found.shared, found.sources):
        heading(line)
    for members in found.shared[:SHOWN]:
        echo("  " + " = ".join(members))


def _print_classes(found: DatasetReport) -> None:
    for split, source in found.sources.items():
        classes = source.facts.classes
        sizes: list[Any] = list(source.facts.sizes) or [""] * len(classes)
        heading(split)
        print_facts(zip(classes, sizes, strict=True))
