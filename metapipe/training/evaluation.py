"""Judging a learner on episodes, and saying how sure the figure is.

The interval is 1.96 standard deviations (population, as in the reference codes of the
field) over the square root of the number of episodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..algorithm import Meta
from ..dataset import Source
from ..episode import Episodes, Metrics, Params, Samples, Task
from ..errors import DivergedError
from ..events import EpisodeRecord
from ..numerics.functional import before_adaptation, task_loss, vectorised
from .learner import Learner

BATCH = 32
"""Episodes drawn at a time."""

Prediction = Literal["together", "alone"]


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


def evaluate(
    learner: Learner,
    meta: Meta,
    source: Source,
    tasks: Sequence[Task],
    *,
    step: int,
    prediction: Prediction = "together",
) -> Iterator[EpisodeRecord]:
    """Adapt to each task's support set and predict its query set, in order of `tasks`.

    `step` is the age of `meta` in meta-iterations. Nothing is changed. Raises
    DivergedError if a loss is not finite.
    """
    for start in range(0, len(tasks), BATCH):
        batch = tasks[start : start + BATCH]
        torch.manual_seed(batch[0].seed)
        episodes = source.draw(batch).to(learner.device)
        with torch.no_grad():
            metrics = _figures(learner, meta, episodes, prediction)
        rows = {name: values.tolist() for name, values in metrics.items()}
        for number, task in enumerate(batch):
            figures = {name: values[number] for name, values in rows.items()}
            if not math.isfinite(figures["loss"]):
                raise DivergedError(
                    f"the loss of {task.split} episode {task.index} is "
                    f"{figures['loss']} at iteration {step}: the learner has diverged"
                )
            yield EpisodeRecord(task=task, step=step, **figures)


def predict(
    learner: Learner,
    meta: Meta,
    adapted: Params,
    support: Samples,
    inputs: Tensor,
    prediction: Prediction,
) -> Tensor:
    """Outputs for one task's `inputs` (m, *shape), all together or each one alone.

    Alone, an input is predicted in a batch of the support set and itself (Nichol et al.
    2018, section 6.1); without batch statistics that is the same as together.
    """
    network, algorithm = learner.network, learner.algorithm
    if prediction == "together" or not learner.normalises_batches:
        return algorithm.predict(network, meta, adapted, inputs)

    def alone(one: Tensor) -> Tensor:
        batch = torch.cat([support.inputs, one[None]])
        return algorithm.predict(network, meta, adapted, batch)[-1]

    token = vectorised.set(True)
    try:
        return torch.func.vmap(alone, chunk_size=64)(inputs)
    finally:
        vectorised.reset(token)


def summarise(records: Sequence[EpisodeRecord]) -> Summary:
    """Means and intervals of at least one episode."""
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
    )


def mean_ci95(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return mean, 1.96 * math.sqrt(variance / len(values))


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (JASA 1927): of items, not of episodes."""
    z, share = 1.96, right / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def _figures(
    learner: Learner, meta: Meta, episodes: Episodes, prediction: Prediction
) -> Metrics:
    """Metrics of each episode, (T,) each: after adaptation and, if defined, before."""
    algorithm, network = learner.algorithm, learner.network
    unadapted = algorithm.unadapted(network, meta)
    ways = episodes.tasks[0].ways

    def figures(support: Samples, query: Samples) -> Metrics:
        adapted = algorithm.adapt(network, meta, support, ways)
        outputs = predict(learner, meta, adapted, support, query.inputs, prediction)
        _, metrics = task_loss(outputs, query.targets)
        if unadapted is None:
            return metrics
        outputs = predict(learner, meta, unadapted, support, query.inputs, prediction)
        return {**metrics, **before_adaptation(task_loss(outputs, query.targets)[1])}

    return learner.mapping(figures, episodes)
