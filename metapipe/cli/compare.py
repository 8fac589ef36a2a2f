"""`metapipe runs compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .context import App, pass_app
from .facts import shape_text
from .groups import print_groups
from .options import json_option
from .output import accuracy_text, echo, print_facts, print_json, print_table
from .run_facts import facts

if TYPE_CHECKING:
    from ..runs.comparison import Comparison
    from ..runs.pairing import Paired
    from ..runs.pictures import Axis

COMPARED = (
    *("status", "step", "validation", "accuracy", "loss", "return"),
    *("training", "device"),
)


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
    elif group_by is not None:
        print_groups(found.groups, None)
    elif found.paired is not None:
        print_facts(_paired_facts(found.paired))
    else:
        _print_comparison(found)


def _print_comparison(found: Comparison) -> None:
    names = [f"run {row.id}" for row in found.rows]
    each = [dict(facts(row)) for row in found.rows]
    figures = {name: [one.get(name) for one in each] for name in COMPARED}
    for name in ("loss", "return"):  # one of both, but for runs of several kinds
        if not any(value is not None for value in figures[name]):
            del figures[name]
    table = [
        {"": name, **dict(zip(names, values, strict=True))}
        for name, values in (*figures.items(), *found.differences.items())
    ]
    print_table(table, ("", *names))


def _paired_facts(found: Paired) -> list[tuple[str, str]]:
    first, second = found.evaluations
    drawn = (
        f"{found.episodes} of {first.dataset}/{first.split}, {shape_text(first)}, seed "
        f"{first.seed}: the same of both"
    )
    how = (first.prediction, second.prediction)
    figure = found.figure
    return [
        ("episodes", drawn),
        ("evaluations", f"{first.id} and {second.id}"),
        *(
            (f"run {run}", f"{figure} {_number(figure, mean)}")
            for run, mean in zip(found.runs, found.means, strict=True)
        ),
        ("difference", _number(figure, found.difference, found.ci95) + " (95 %)"),
        ("verdict", _verdict(found)),
        *([] if how[0] == how[1] else [("beware", f"predicted {' and '.join(how)}")]),
    ]


def _verdict(found: Paired) -> str:
    """What the interval says, and how many episodes would settle it."""
    if found.better is not None:
        return f"run {found.better} is better on such episodes"
    if found.settled_by is None:
        return "no difference at all"
    return (
        f"undecided: about {found.settled_by:,} episodes would settle it, if the "
        "difference stays"
    )


def _number(figure: str, value: float, ci95: float | None = None) -> str:
    if figure == "accuracy":
        return accuracy_text(value, ci95) or ""
    return f"{value:.4g}" if ci95 is None else f"{value:.4g} ± {ci95:.2g}"
