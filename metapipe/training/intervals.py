"""How sure a figure is.

The interval is 1.96 standard deviations (population, as in the reference codes of the
field) over the square root of the number of episodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..episode import Task
from ..events import EpisodeRecord

Part = Callable[[Task], str | None]
"""Which part of the data an episode is of."""


@dataclass(frozen=True)
class Summary:
    """Means over episodes with 95 % intervals; None where a figure does not exist."""

    episodes: int
    loss: float
    loss_ci95: float
    loss_before: float | None
    accuracy: float | None
    accuracy_ci95: float | None
    accuracy_before: float | None
    figures: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Further figures by name: mean, and half the width of its interval."""

    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """The same at each of several places, such as after each step of adaptation."""


def summarise(records: Sequence[EpisodeRecord], part: Part = lambda _: None) -> Summary:
    """Means and intervals of at least one episode; figures of each `part` of the data
    that episodes are of, too, where it has some."""
    loss, loss_ci95 = mean_ci95([record.loss for record in records])
    before = [r.loss_before for r in records if r.loss_before is not None]
    accuracies = [r.accuracy for r in records if r.accuracy is not None]
    accuracies_before = [
        r.accuracy_before for r in records if r.accuracy_before is not None
    ]
    accuracy, accuracy_ci95 = mean_ci95(accuracies) if accuracies else (None, None)
    if len(accuracies) == 1:  # one episode has no interval
        accuracy_ci95 = None
    return Summary(
        episodes=len(records),
        loss=loss,
        loss_ci95=loss_ci95,
        loss_before=mean_ci95(before)[0] if before else None,
        accuracy=accuracy,
        accuracy_ci95=accuracy_ci95,
        accuracy_before=mean_ci95(accuracies_before)[0] if accuracies_before else None,
        figures={
            name: mean_ci95([record.figures[name] for record in records])
            for name in records[0].figures
        }
        | _by_part(records, part),
        curves={
            name: [
                mean_ci95([record.curves[name][place] for record in records])
                for place in range(len(curve))
            ]
            for name, curve in records[0].curves.items()
        },
    )


def _by_part(
    records: Sequence[EpisodeRecord], part: Part
) -> dict[str, tuple[float, float]]:
    """Accuracy, or loss where there is none, and how many episodes, of each part."""
    parts: dict[str, list[EpisodeRecord]] = {}
    for record in records:
        name = part(record.task)
        if name is not None:
            parts.setdefault(name, []).append(record)
    found: dict[str, tuple[float, float]] = {}
    for name, own in sorted(parts.items()):
        rights = [r.accuracy for r in own if r.accuracy is not None]
        figure = "accuracy" if rights else "loss"
        found[f"{figure}_of_{name}"] = mean_ci95(rights or [r.loss for r in own])
        found[f"episodes_of_{name}"] = float(len(own)), 0.0
    return found


def mean_ci95(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return mean, 1.96 * math.sqrt(variance / len(values))


def wilson(right: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (JASA 1927): of items, not of episodes.
    Both may be parts of items: half of them, for items that are worth half."""
    z, share = 1.96, right / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)
