"""Which episodes a run trains on: recipes, as a function of its experiment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from ..algorithm import Meta
from ..data.sampling import integers, keys
from ..dataset import Source
from ..episode import Episodes, Task
from ..experiment.experiment import Experiment
from ..training.crew import ALONE, Crew, own
from ..training.delivery import Delivery
from ..training.learner import Learner
from ..training.rollout import draw


def meta_batch(experiment: Experiment, iteration: int) -> list[list[Task]]:
    """The recipes of a training meta-batch, counted from 0, in the parts whose
    gradients are computed one after the other."""
    training, shape = experiment.training, _shape(experiment, iteration)
    first = iteration * training.tasks
    recipes = [replace(shape, index=first + n) for n in range(training.tasks)]
    ends = [n * training.tasks // training.shards for n in range(training.shards + 1)]
    return [recipes[start:end] for start, end in pairwise(ends)]


def draw_meta_batch(
    experiment: Experiment,
    learner: Learner,
    meta: Meta,
    source: Source,
    iteration: int,
    crew: Crew = ALONE,
) -> list[Episodes]:
    """That meta-batch drawn, or played by these parameters, on the learner's device: an
    element a part, of those that are this process's. The next one is announced."""

    def mine(number: int) -> list[list[Task]]:
        parts = meta_batch(experiment, number)
        return [parts[place] for place in own(len(parts), crew)]

    drawn = [
        draw(learner, meta, source, part, training=True) for part in mine(iteration)
    ]
    if isinstance(source, Delivery):
        source.expect(mine(iteration + 1))
    return drawn


def extremes(experiment: Experiment) -> Iterator[Task]:
    """The smallest and the largest episode that training may draw."""
    task = experiment.task
    least = Task(
        experiment.run.dataset,
        "train",
        experiment.run.seed,
        0,
        task.ways,
        task.shots,
        task.queries_of(task.ways, task.shots),
        task.support,
    )
    yield least
    most = _of_shape(experiment, least, task.most_ways, task.most_shots)
    if most != least:
        yield most


def _shape(experiment: Experiment, iteration: int) -> Task:
    """What the episodes of a meta-batch agree in: ways and shots are drawn for each
    meta-batch where the settings leave a range."""
    task, (least, *wider) = experiment.task, extremes(experiment)
    if not wider:
        return least
    key = keys([replace(least, index=iteration)])
    ways = integers(key, "ways", below=task.most_ways - task.ways + 1)
    shots = integers(key, "shots", below=task.most_shots - task.shots + 1)
    drawn = least.ways + int(ways[0]), least.shots + int(shots[0])
    return _of_shape(experiment, least, *drawn)


def _of_shape(experiment: Experiment, recipe: Task, ways: int, shots: int) -> Task:
    """The same with that many ways and shots, and the queries that go with them."""
    queries = experiment.task.queries_of(ways, shots)
    return replace(recipe, ways=ways, shots=shots, queries=queries)
