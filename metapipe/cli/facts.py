"""An evaluation as names and values."""

from __future__ import annotations

from typing import Any

from ..store.checkpoint_names import ENSEMBLE
from .output import accuracy_text


def _loss_text(found: Any) -> str:
    """With its interval, which one episode does not have."""
    spread = f" ± {found.loss_ci95:.4f}" if found.episodes > 1 else ""
    return f"{found.loss:.4f}{spread}"


def evaluation_facts(found: Any) -> list[tuple[str, Any]]:
    """An evaluation as names and values, with all that its figure depends on."""
    before, steps = found.accuracy_before, found.settings.get(ENSEMBLE, ())
    return [
        ("accuracy", accuracy_text(found.accuracy, found.accuracy_ci95)),
        ("before adaptation", None if before is None else f"{100 * before:.2f} %"),
        ("loss", _loss_text(found)),
        (
            "episodes",
            f"{found.episodes} of {found.dataset}/{found.split}, {found.ways}-way "
            f"{found.shots}-shot, {found.queries} queries, seed {found.seed}",
        ),
        (
            "predictions",
            "transductive (batch statistics over the queries)"
            if found.transductive
            else "inductive (each query on its own)",
        ),
        ("ensemble", f"of steps {', '.join(map(str, steps))}" if steps else None),
        *((name, _figure(name, *pair)) for name, pair in found.figures.items()),
        *(
            (name, "  ".join(_figure(name, *pair) for pair in curve))
            for name, curve in found.curves.items()
        ),
    ]


def _figure(name: str, mean: float | None, ci95: float | None) -> str:
    if name.startswith("accuracy"):
        return accuracy_text(mean, ci95) or ""
    if mean is None or ci95 is None:  # what is no number is stored as nothing
        return "" if mean is None else f"{mean:.4g}"
    return f"{mean:.4g} ± {ci95:.2g}"
