"""An evaluation as names and values."""

from __future__ import annotations

from typing import Any

from ..settings import SUPPORT
from .cells import accuracy_text


def evaluation_facts(found: Any) -> list[tuple[str, Any]]:
    """An evaluation as names and values, with all that its figure depends on."""
    from ..store.checkpoint_names import ENSEMBLE  # with SQLAlchemy

    before, acts = found.accuracy_before, found.controls
    steps = found.settings.get(ENSEMBLE, ())
    return [
        ("accuracy", accuracy_text(found.accuracy, found.accuracy_ci95)),
        ("before adaptation", None if before is None else f"{100 * before:.2f} %"),
        ("return" if acts else "loss", _main_text(found)),
        (
            "episodes",
            f"{found.episodes} of {found.dataset}/{found.split}, {shape_text(found)}, "
            f"{found.queries} {'to judge' if acts else 'queries'}, seed {found.seed}",
        ),
        (
            "support",
            None
            if SUPPORT not in found.settings
            else f"at most {found.settings[SUPPORT]} in all; shots are a class's mean",
        ),
        ("predictions", None if acts else _mode_text(found)),
        ("ensemble", f"of steps {', '.join(map(str, steps))}" if steps else None),
        *((name, _figure(name, *pair)) for name, pair in found.figures.items()),
        *(
            (name, "  ".join(_figure(name, *pair) for pair in curve))
            for name, curve in found.curves.items()
        ),
    ]


def shape_text(found: Any) -> str:
    """What a task is learned from."""
    if not found.controls:
        ways, shots = (_to(found, name) for name in ("ways", "shots"))
        return f"{ways}-way {shots}-shot"
    return f"{found.shots} trajectories a round" if found.shots else "no rounds"


def _to(found: Any, name: str) -> str:
    """A number, or a range where each episode has its own."""
    most = getattr(found, f"{name}_to", None)
    return f"{getattr(found, name)}" + ("" if most is None else f" to {most}")


def _main_text(found: Any) -> str:
    """Loss or return with its interval, which one episode does not have."""
    value = found.mean_return if found.controls else found.loss
    spread = f" ± {found.loss_ci95:.4f}" if found.episodes > 1 else ""
    return f"{value:.4f}{spread}"


def _mode_text(found: Any) -> str:
    if found.transductive:
        return "transductive (batch statistics over the queries)"
    return "inductive (each query on its own)"


def _figure(name: str, mean: float | None, ci95: float | None) -> str:
    if name.startswith("accuracy"):
        return accuracy_text(mean, ci95) or ""
    if mean is None or ci95 is None:  # what is no number is stored as nothing
        return "" if mean is None else f"{mean:.4g}"
    return f"{mean:.4g} ± {ci95:.2g}"
