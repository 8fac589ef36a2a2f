"""`metapipe runs compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .context import App, pass_app
from .drawing import draw_runs
from .groups import print_groups
from .options import json_option
from .output import echo, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..runs.comparison import Comparison
    from ..runs.pictures import Axis


@click.command()
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option("--where", default="", help="Those that match, instead of names.")
@click.option(
    "--group-by",
    metavar="COLUMNS",
    help="Means over seeds, with intervals, for example by algorithm,dataset; the "
    "picture has a curve a group.",
)
@click.option(
    "--paired",
    "pair",
    is_flag=True,
    help="Which of two runs is better, on the same episodes, and is that sure?",
)
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
def compare(
    app: App,
    names: tuple[str, ...],
    where: str,
    group_by: str | None,
    pair: bool,
    png: Path | None,
    axis: Axis,
    as_json: bool,
) -> None:
    """Set runs side by side: figures, and the settings in which they differ."""
    from ..runs import comparison

    found = comparison.compare(
        app.store, names, png, axis, where=where, group_by=group_by, pair=pair
    )
    if png is not None:
        echo(f"wrote {png}", err=True)
    if as_json:
        shown = {"runs": found.rows, "differences": found.differences}
        print_json({**shown, "groups": found.groups, "paired": found.paired})
    else:
        _print(found, group_by is not None)


def _print(found: Comparison, grouped: bool) -> None:
    from ..facts.comparison import comparison_table, paired_facts

    if grouped:
        print_groups(found.groups, None)
        draw_runs(found.curves)
    elif found.paired is not None:
        print_facts(paired_facts(found.paired))
    else:
        table = comparison_table(found.rows, found.differences)
        print_table(table.rows, table.columns)
        draw_runs(found.curves)
