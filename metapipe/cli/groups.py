"""Groups of runs, printed: means over seeds with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .forms import Form, print_rows
from .output import accuracy_text, echo, print_json

if TYPE_CHECKING:
    from ..store.records import Fold, GroupRow

ABOUT = (
    "figures: mean over seeds ± Student's 95 % interval, each seed once; "
    "differs: in what else than the seed the runs of a group are not alike"
)


def print_groups(found: Sequence[GroupRow], form: Form | None) -> None:
    """A row a group, in that form."""
    if form == "json":
        print_json([asdict(group) for group in found])
        return
    flat = _numbers if form == "csv" else _texts
    rows = [flat(group) for group in found]
    print_rows(rows, list(rows[0]) if rows else [], form, "no runs match")
    if rows and form is None:
        echo(ABOUT, err=True)


def _texts(group: GroupRow) -> dict[str, Any]:
    """A figure and its interval in one cell."""
    figures = {name: _text(name, fold, group) for name, fold in group.figures.items()}
    return _begun(group) | figures | {"differs": ", ".join(group.differs)}


def _numbers(group: GroupRow) -> dict[str, Any]:
    figures = {
        key: value
        for name, fold in group.figures.items()
        for key, value in (
            (name, fold.mean),
            (f"{name}_ci95", fold.ci95),
            (f"{name}_seeds", fold.seeds),
        )
    }
    return _begun(group) | figures | {"differs": " ".join(group.differs)}


def _begun(group: GroupRow) -> dict[str, Any]:
    return {**group.group, "runs": group.runs, "seeds": group.seeds}


def _text(name: str, fold: Fold, group: GroupRow) -> str:
    """With the number of seeds, where only some have the figure."""
    if fold.mean is None:
        return ""
    if "accuracy" in name:
        text = accuracy_text(fold.mean, fold.ci95) or ""
    elif fold.ci95 is None:
        text = f"{fold.mean:.4g}"
    else:
        text = f"{fold.mean:.4g} ± {fold.ci95:.2g}"
    return text if fold.seeds == group.seeds else f"{text} (of {fold.seeds})"
