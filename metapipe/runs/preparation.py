"""From an experiment or a stored run to a learner that is ready to work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from ..algorithm import Meta
from ..dataset import Source
from ..episode import Task
from ..errors import UnsupportedError
from ..experiment.experiment import Experiment
from ..plugin import silently_off, stochastic_settings
from ..problem import Split
from ..training.checkpoint import Checkpoint
from ..training.device import choose_device
from ..training.learner import (
    Learner,
    build_learner,
    check_problem,
    drops,
    problem_of,
)
from ..training.stored_learner import open_learner
from .evaluations import evaluation_tasks
from .recipes import extremes

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data opened and its learner built: all checks passed."""

    experiment: Experiment
    sources: Mapping[str, Source]
    learner: Learner
    meta: Meta


def prepare(experiment: Experiment, checkpoint: Checkpoint | None = None) -> Prepared:
    """Open the data, build the learner, or open that of a checkpoint, and refuse now
    what cannot work."""
    device = choose_device(experiment.run.device)
    task, training = experiment.task, experiment.training
    sources: dict[str, Source] = {"train": experiment.dataset.open("train")}
    problem = problem_of(sources["train"], task.ways, task.most_shots)
    check_problem(experiment.algorithm, experiment.run.algorithm, problem)
    plugins = experiment.algorithm, experiment.model
    if checkpoint is None:
        learner, meta = build_learner(*plugins, problem, device, experiment.run.seed)
    else:
        learner, meta = open_learner(*plugins, problem, device, checkpoint.file)
    learner = replace(learner, precision=experiment.run.precision)
    _check_range(experiment)
    if not meta.params:
        raise UnsupportedError(
            f"{experiment.run.algorithm} has nothing to train on the model "
            f"{experiment.run.model}: choose a model that has parameters"
        )
    for recipe in extremes(experiment):
        check_asked(learner, sources["train"], recipe)
    splits: list[Split] = [experiment.evaluation.split]
    if training.validate_every:
        splits.append("val")
    for split in splits:
        settings = experiment.evaluation.model_copy(update={"split": split})
        sources.setdefault(split, experiment.dataset.open(split))
        check_asked(learner, sources[split], evaluation_tasks(experiment, settings)[0])
    return Prepared(experiment, sources, learner, meta)


def _check_range(experiment: Experiment) -> None:
    """Refuse varying ways for a method with a head for one number of classes."""
    task, name = experiment.task, experiment.run.algorithm
    if task.most_ways > task.ways and not experiment.algorithm.any_ways:
        raise UnsupportedError(
            f"task.ways_to = {task.ways_to}: {name} has a head for one number of "
            "classes; leave it out, or use a method for which 'metapipe plugins show' "
            "says any number of classes"
        )


def check_dropout(experiment: Experiment, network: nn.Module) -> None:
    """Refuse dropout that an experiment asks for and training would never do; tell of
    what no setting turns off."""
    algorithm, model = experiment.run.algorithm, experiment.model
    if experiment.algorithm.stochastic or not drops(network):
        return
    for name in stochastic_settings(type(model)):
        if value := getattr(model, name):
            raise UnsupportedError(silently_off(algorithm, f"model.{name}={value!r}"))
    logger.warning(
        "%s never runs the network in training mode: the layers of %s that act at "
        "random in training do nothing",
        algorithm,
        experiment.run.model,
    )


def check_asked(learner: Learner, source: Source, task: Task) -> None:
    """Refuse episodes that cannot be drawn, or that the learner cannot do."""
    asked = problem_of(source, task.ways, task.shots)
    trained = learner.problem
    if (asked.kind, asked.shape) != (trained.kind, trained.shape):
        raise UnsupportedError(
            f"{task.dataset} has {asked.kind} inputs of shape {asked.shape}, and the "
            f"run learned {trained.kind} on shape {trained.shape}: choose a data set "
            "like the one it was trained on"
        )
    if not task.shots and learner.algorithm.needs_support:
        raise UnsupportedError(
            "shots = 0: this method learns a task from examples, at least one a class; "
            "use --shots 1 or more"
        )
    source.check(task)
    learner.algorithm.check(trained, asked)
