"""Which episodes a run trains on: recipes, as a function of its experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ..algorithm import Meta
from ..data.sampling import integers, keys
from ..data.unequal import unequal
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
    training = experiment.training
    first, ends = iteration * training.tasks, range(training.shards + 1)
    places = [first + n * training.tasks // training.shards for n in ends]
    return [_alike(experiment, range(start, end)) for start, end in pairwise(places)]


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


def extremes(experiment: Experiment) -> list[Task]:
    """The smallest and the largest episode that training may draw, and what may be
    asked most of between them; one if all are alike."""
    task = experiment.task
    return corners(*_ends(experiment), task.support)


def corners(least: Task, most: Task, support: int | None) -> list[Task]:
    """The episodes between two shapes by which all others are judged; where classes are
    unequal, few of them may have more examples each than many."""
    between = [] if support is None else [replace(most, ways=least.ways)]
    found = [unequal(each, support) for each in (least, *between, most)]
    return list(dict.fromkeys(found))


def drawn_shapes(recipes: Sequence[Task], most: Task) -> list[tuple[int, int]]:
    """Ways and shots for each of recipes that are alike, which its integers say: from
    its own to those of `most`."""
    key, least = keys(recipes), recipes[0]
    ways = least.ways + integers(key, "ways", below=most.ways - least.ways + 1)
    shots = least.shots + integers(key, "shots", below=most.shots - least.shots + 1)
    return list(zip(ways.tolist(), shots.tolist(), strict=True))


def _ends(experiment: Experiment) -> tuple[Task, Task]:
    """The smallest and the largest, of classes that are alike."""
    task, run = experiment.task, experiment.run
    least = Task(
        *(run.dataset, "train", run.seed, 0, task.ways, task.shots),
        task.queries_of(task.ways, task.shots),
    )
    return least, _of_shape(experiment, least, task.most_ways, task.most_shots)


def _alike(experiment: Experiment, indices: range) -> list[Task]:
    """The recipes of a part, which agree in shape: where the settings leave a range,
    the first of them says its ways and shots."""
    least, most = _ends(experiment)
    shape = replace(least, index=indices[0])
    if most != least:
        ((ways, shots),) = drawn_shapes([shape], most)
        shape = _of_shape(experiment, shape, ways, shots)
    shape = unequal(shape, experiment.task.support)
    return [replace(shape, index=index) for index in indices]


def _of_shape(experiment: Experiment, recipe: Task, ways: int, shots: int) -> Task:
    """The same with that many ways and shots, and the queries that go with them."""
    queries = experiment.task.queries_of(ways, shots)
    return replace(recipe, ways=ways, shots=shots, queries=queries)
