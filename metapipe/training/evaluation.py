"""Judging a learner on episodes, and saying how sure the figure is.

The interval is 1.96 standard deviations (population, as in the reference codes of the
field) over the square root of the number of episodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..algorithm import Meta
from ..dataset import Source
from ..episode import Episodes, Metrics, Params, Samples, Task
from ..errors import DivergedError
from ..events import EpisodeRecord
from ..numerics.functional import vectorised
from ..numerics.losses import before_adaptation, task_loss
from .learner import Learner

BATCH = 32
"""Episodes drawn at a time."""

QueryMode = Literal["together", "alone"]


def evaluate(
    learner: Learner,
    meta: Meta,
    source: Source,
    tasks: Sequence[Task],
    *,
    step: int,
    prediction: QueryMode = "together",
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
    prediction: QueryMode,
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


def _figures(
    learner: Learner, meta: Meta, episodes: Episodes, prediction: QueryMode
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
