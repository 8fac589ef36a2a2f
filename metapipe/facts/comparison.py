"""Runs side by side: a row a figure and a setting, a column a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..store.records import RunRow
from .cells import Table, accuracy_text
from .evaluation import shape_text
from .run import facts

if TYPE_CHECKING:
    from ..runs.pairing import Paired

COMPARED = (
    *("status", "step", "validation", "accuracy", "loss", "return"),
    *("training", "device"),
)


def comparison_table(
    runs: Sequence[RunRow], differences: Mapping[str, Sequence[Any]]
) -> Table:
    """What became of each, and the settings in which they differ."""
    names = [f"run {row.id}" for row in runs]
    each = [dict(facts(row)) for row in runs]
    figures = {name: [one.get(name) for one in each] for name in COMPARED}
    for name in ("loss", "return"):  # one of both, but for runs of several kinds
        if not any(value is not None for value in figures[name]):
            del figures[name]
    rows = [
        {"": name, **dict(zip(names, values, strict=True))}
        for name, values in (*figures.items(), *differences.items())
    ]
    return Table(("", *names), rows)


def paired_facts(found: Paired) -> list[tuple[str, str]]:
    """Which of two runs is better on the same episodes, as names and values."""
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
