"""Groups of runs as rows: means over seeds with their intervals."""

from __future__ import annotations

from typing import Any

from ..store.records import Fold, GroupRow
from .cells import accuracy_text

ABOUT = (
    "figures: mean over seeds ± Student's 95 % interval, each seed once; "
    "differs: in what else than the seed the runs of a group are not alike"
)


def as_texts(group: GroupRow) -> dict[str, Any]:
    """A figure and its interval in one cell."""
    figures = {name: _text(name, fold, group) for name, fold in group.figures.items()}
    return _begun(group) | figures | {"differs": ", ".join(group.differs)}


def as_numbers(group: GroupRow) -> dict[str, Any]:
    """A figure, its interval and its seeds in a cell each."""
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
