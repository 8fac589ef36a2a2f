"""What is recorded of a window of iterations: the means of what each one saw."""

from __future__ import annotations

from collections.abc import Sequence

from ..training.loop import Iteration


def mean_figures(window: Sequence[Iteration]) -> dict[str, float]:
    """Mean figures over at least one iteration, and the last one's step size."""
    last = window[-1]
    figures = {
        name: sum(float(it.metrics[name].mean()) for it in window) / len(window)
        for name in last.metrics
        if all(name in it.metrics for it in window) and last.metrics[name].ndim == 1
    }
    figures["grad_norm"] = sum(it.grad_norm for it in window) / len(window)
    figures["lr"] = last.lr
    return figures
