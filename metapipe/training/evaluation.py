"""Judging a learner on episodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ..algorithm import Meta
from ..data.acting import known_returns
from ..dataset import Arena, Source
from ..episode import Episodes, Metrics, Params, Samples, Task
from ..errors import DivergedError
from ..events import EpisodeRecord
from ..numerics.functional import vectorised
from ..numerics.losses import before_adaptation, task_loss
from ..numerics.returns import return_figures, returns_by_step
from ..numerics.task_map import LocalTaskMap
from ..settings import TaskSettings
from .activations import fitting
from .crew import ALONE, Crew
from .learner import Learner
from .rollout import draw

Shape = tuple[int, int, int, int | None]

BATCH = 32
"""Episodes drawn at a time."""

WINDOW = 8 * BATCH
"""Episodes in a row among which those of one shape are judged together."""

PLAYED = 1280
"""Trajectories played at a time: few tasks with many, or many tasks with few."""

CHUNK = 64
"""Queries predicted alone at a time, each with the support set, or fewer."""

MAIN = ("loss", "loss_before", "accuracy", "accuracy_before")
"""Figures that every store has a column for."""

QueryMode = Literal["together", "alone"]

Columns = dict[str, list[Any]]
"""Figures by name, a number or a list of numbers an episode."""


def evaluate(
    learner: Learner,
    meta: Meta,
    source: Source,
    tasks: Sequence[Task],
    *,
    step: int,
    prediction: QueryMode = "together",
    crew: Crew = ALONE,
) -> Iterator[EpisodeRecord]:
    """Adapt to each task's support set and predict its query set, in order of `tasks`,
    which may differ in ways and shots; of control, act in each task's worlds.

    `step` is the age of `meta` in meta-iterations. torch's generator is seeded anew for
    each batch, so it is the same who of a crew judges which. Raises DivergedError if a
    loss is not finite.
    """
    batches = together(tasks, batch_size(source, tasks[0]))
    found: dict[int, EpisodeRecord] = {}
    first = 0  # of those that are not told yet
    for start in range(0, len(batches), crew.size):
        shared = [
            [tasks[place] for place in batch]
            for batch in batches[start : start + crew.size]
        ]
        mine = [
            _judged(learner, meta, source, batch, prediction)
            for batch in shared[crew.rank : crew.rank + 1]
        ]
        columns = (each[0] for each in crew.gather(mine) if each)
        for number, figures in enumerate(columns):
            records = _records(shared[number], step, figures)
            found.update(zip(batches[start + number], records, strict=True))
        while first in found:
            record = found.pop(first)
            if not math.isfinite(record.loss):
                raise DivergedError(
                    f"the loss of {record.task.split} episode {record.task.index} is "
                    f"{record.loss} at iteration {step}: the learner has diverged"
                )
            yield record
            first += 1


def shape_of(task: Task | TaskSettings) -> Shape:
    """Ways, shots, queries and support of an episode."""
    return task.ways, task.shots, task.queries, task.support


def together(tasks: Sequence[Task], size: int) -> list[list[int]]:
    """The places of `tasks` that are judged together: `size` at most, of one shape; all
    in order if they are alike."""
    shapes = [*map(shape_of, tasks)]
    window = WINDOW if len(set(shapes)) > 1 else len(tasks)
    batches = []
    for start in range(0, len(tasks), window):
        alike: dict[Shape, list[int]] = {}
        for place, shape in enumerate(shapes[start : start + window], start):
            alike.setdefault(shape, []).append(place)
        for places in alike.values():
            batches += [places[n : n + size] for n in range(0, len(places), size)]
    return batches


def _judged(
    learner: Learner,
    meta: Meta,
    source: Source,
    batch: Sequence[Task],
    prediction: QueryMode,
) -> Columns:
    """Figures of a batch of episodes, one each."""
    torch.manual_seed(batch[0].seed)
    episodes = draw(learner, meta, source, batch)
    if isinstance(source, Arena):
        return _columns(_of_worlds(episodes, source))
    with torch.no_grad(), learner.computing():
        return _columns(figures(learner, meta, episodes, prediction, learner.mapping))


def batch_size(source: Source, task: Task) -> int:
    """How many episodes like `task` are judged at a time."""
    if not isinstance(source, Arena):
        return BATCH
    return max(1, PLAYED // max(task.shots, task.queries))


def labels(
    learner: Learner, meta: Meta, episodes: Episodes, prediction: QueryMode = "together"
) -> Tensor:
    """The label that each query is given: (T, n), int64; for a batch as `evaluate`
    draws it, and after its seed, those that it judged."""

    def given(support: Samples, query: Samples) -> Metrics:
        ways = episodes.tasks[0].ways
        adapted = learner.algorithm.adapt(learner.network, meta, support, ways)
        outputs = predict(learner, meta, adapted, support, query.inputs, prediction)
        return {"labels": outputs.argmax(-1)}

    with torch.no_grad(), learner.computing():
        return learner.mapping(given, episodes)["labels"]


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

    each = len(support.inputs) + 1
    token = vectorised.set(True)
    try:
        chunk = fitting(network, tuple(inputs.shape[1:]), CHUNK * each) // each
        return torch.func.vmap(alone, chunk_size=max(1, chunk))(inputs)
    finally:
        vectorised.reset(token)


def figures(
    learner: Learner,
    meta: Meta,
    episodes: Episodes,
    prediction: QueryMode,
    over: LocalTaskMap,
) -> Metrics:
    """Metrics of each episode, (T,) each: after adaptation and, if defined, before."""
    algorithm, network = learner.algorithm, learner.network
    unadapted = algorithm.unadapted(network, meta)
    ways = episodes.tasks[0].ways

    def of_a_task(support: Samples, query: Samples) -> Metrics:
        def outputs(adapted: Params) -> Tensor:
            return predict(learner, meta, adapted, support, query.inputs, prediction)

        judged = algorithm.judge(network, meta, support, query, outputs)
        if judged is not None:
            return judged
        adapted = algorithm.adapt(network, meta, support, ways)
        _, metrics = task_loss(outputs(adapted), query.targets)
        if unadapted is None:
            return metrics
        before = task_loss(outputs(unadapted), query.targets)[1]
        return {**metrics, **before_adaptation(before)}

    return over(of_a_task, episodes)


def _of_worlds(episodes: Episodes, arena: Arena) -> Metrics:
    """What trajectories brought, after each round, and beside what others have."""
    others = {
        f"{name}_return": torch.tensor(values)
        for name, values in known_returns(arena, episodes.tasks).items()
    }
    return {**return_figures(episodes), **returns_by_step(episodes), **others}


def episode_records(
    tasks: Sequence[Task], step: int, metrics: Metrics
) -> Iterator[EpisodeRecord]:
    """What became of each of `tasks`, from figures (T,) and curves (T, k) by name."""
    return _records(tasks, step, _columns(metrics))


def _columns(metrics: Metrics) -> Columns:
    return {name: values.tolist() for name, values in metrics.items()}


def _records(
    tasks: Sequence[Task], step: int, columns: Columns
) -> Iterator[EpisodeRecord]:
    for number, task in enumerate(tasks):
        values = {name: column[number] for name, column in columns.items()}
        own = {name: values.pop(name) for name in MAIN if name in values}
        curves = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        figures = {k: v for k, v in values.items() if k not in curves}
        yield EpisodeRecord(task, step, **own, figures=figures, curves=curves)
