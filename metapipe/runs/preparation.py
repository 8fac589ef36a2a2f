"""From an experiment or a stored run to a learner that is ready to work."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from ..algorithm import Meta
from ..dataset import Arena, Source
from ..episode import Episodes, Task
from ..errors import PluginError, SettingError, UnsupportedError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.recomputation import recomputing
from ..numerics.task_map import LocalTaskMap
from ..numerics.tuning import candidates
from ..plugin import silently_off, stochastic_settings
from ..problem import Kind, Problem, Split
from ..training.checkpoint import Checkpoint
from ..training.device import choose_device, require_execution, require_precision
from ..training.ensemble import require_mean
from ..training.learner import (
    Learner,
    build_learner,
    check_kind,
    check_problem,
    drops,
    problem_of,
)
from ..training.stored_learner import open_learner
from ..training.trial import (
    TRIED,
    attempt,
    first_episodes,
    maps_tasks,
    require_sound,
)
from .evaluations import evaluation_extremes
from .recipes import extremes, meta_batch
from .splits import check_splits, open_split

RANGES = ("ways", "shots")
"""Of which a range can be drawn, to the end that has `_to` behind its name."""

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data opened and its learner built: all checks passed."""

    experiment: Experiment
    sources: Mapping[Split, Source]
    learner: Learner
    meta: Meta


def prepare(
    experiment: Experiment,
    checkpoint: Checkpoint | None = None,
    registry: Registry | None = None,
) -> Prepared:
    """Open the data, build the learner, or open that of a checkpoint, and refuse now
    what cannot work; of `registry` what would."""
    check_splits(experiment)
    device = choose_device(experiment.run.device)
    require_precision(experiment.run.precision, device)
    require_execution(experiment.training.execution, device)
    task, training = experiment.task, experiment.training
    _check_kind(experiment, experiment.dataset.kind, registry)
    sources: dict[Split, Source] = {"train": open_split(experiment, "train")}
    recipes = extremes(experiment)
    most_shots = max(recipe.shots for recipe in recipes)
    problem = problem_of(sources["train"], task.ways, most_shots)
    _check_kind(experiment, problem.kind, registry)
    check_problem(experiment.algorithm, experiment.run.algorithm, problem)
    plugins = experiment.algorithm, experiment.model
    if checkpoint is None:
        learner, meta = build_learner(*plugins, problem, device, experiment.run.seed)
    else:
        learner, meta = open_learner(*plugins, problem, device, checkpoint.file)
    learner = replace(
        learner, precision=experiment.run.precision, recompute=training.recompute
    )
    check_range(experiment, "task", recipes)
    _require_parameters(experiment, learner.network, meta)
    check_all(learner, sources["train"], recipes)
    splits: list[Split] = [experiment.evaluation.split]
    if training.validate_every:
        splits.append("val")
    for split in splits:
        settings = experiment.evaluation.model_copy(update={"split": split})
        sources.setdefault(split, open_split(experiment, split))
        recipes = evaluation_extremes(experiment, settings)
        check_range(experiment, "evaluation", recipes)
        check_all(learner, sources[split], recipes)
    _check_ensemble(experiment)
    return Prepared(experiment, sources, learner, meta)


def check_trainable(prepared: Prepared) -> None:
    """Try the learner on the first tasks, by loop and by the task map that is asked
    for.

    Raises PluginError, in a line, for a model or an algorithm that does not work, and
    UnsupportedError for a task map by which they do not.
    """
    experiment, learner, meta = prepared.experiment, prepared.learner, prepared.meta
    run, training = experiment.run, experiment.training
    recipes = meta_batch(experiment, 0)[0][:TRIED]
    prediction = experiment.evaluation.prediction
    pair = f"{run.algorithm} on the model {run.model}"
    try:
        require_sound(learner.network)
        episodes = first_episodes(learner, meta, prepared.sources["train"], recipes)
        with recomputing(training.recompute) as found:
            attempt(learner, meta, episodes, LocalTaskMap("loop"), prediction)
        if training.recompute and not found.steps:
            logger.warning(
                "training.recompute = true has no effect: %s does not differentiate "
                "through inner steps twice",
                run.algorithm,
            )
        _check_execution(experiment, learner, meta, episodes)
        if experiment.evaluation.ensemble > 1:
            require_mean(learner, meta, episodes)
    except PluginError as error:
        raise PluginError(f"{pair} cannot be trained: {error}") from error
    asked = candidates(training.mapping, training.at_once, TRIED, learner.device)
    if training.mapping in ("auto", "loop"):
        return
    try:
        attempt(learner, meta, episodes, asked[0], prediction)
    except PluginError as error:
        raise UnsupportedError(
            f"training.mapping = '{training.mapping}': {pair} cannot be mapped so "
            f"({error}); use auto, loop or threads"
        ) from error


def _check_execution(
    experiment: Experiment, learner: Learner, meta: Meta, episodes: Episodes
) -> None:
    """Raise UnsupportedError for what torch does not compile."""
    if experiment.training.execution != "compile":
        return
    precision, algorithm = experiment.run.precision, experiment.run.algorithm
    if precision != "float32":
        raise UnsupportedError(
            "training.execution = 'compile': it computes in float32, and run.precision "
            f"= '{precision}'; use eager"
        )
    if maps_tasks(learner, meta, episodes):
        raise UnsupportedError(
            f"training.execution = 'compile': {algorithm} maps a function over tasks, "
            "and torch compiles what embeds a meta-batch in one call and is "
            "differentiated once; use graph on a GPU, or eager"
        )


def _check_kind(
    experiment: Experiment, kind: Kind | None, registry: Registry | None
) -> None:
    """Refuse an algorithm that is not defined for that kind, if it is known."""
    if kind is not None:
        instead = registry.defined_for if registry else None
        check_kind(experiment.algorithm, experiment.run.algorithm, kind, instead)


def _require_parameters(experiment: Experiment, network: nn.Module, meta: Meta) -> None:
    """Raise UnsupportedError if there is nothing to train, and say why."""
    if meta.params:
        return
    frozen = [name for name, _ in network.named_parameters()]
    why = f" (frozen: {', '.join(frozen[:3])}, ...)" if frozen else ""
    do = "parameters that require a gradient" if frozen else "parameters"
    raise UnsupportedError(
        f"{experiment.run.algorithm} has nothing to train on the model "
        f"{experiment.run.model}{why}: choose a model that has {do}"
    )


def check_range(experiment: Experiment, section: str, recipes: Sequence[Task]) -> None:
    """Refuse varying ways where there are no classes, and for a method with a head for
    one number of them; from the smallest and the largest episode of a `section`."""
    least, most = recipes[0].ways, recipes[-1].ways
    if most == least:
        return
    if experiment.dataset.kind == "control":
        raise UnsupportedError(
            f"{section}.ways_to = {most}: control has no classes; leave it out"
        )
    if not experiment.algorithm.any_ways:
        raise UnsupportedError(
            f"{section}.ways_to = {most}: {experiment.run.algorithm} has a head for "
            "one number of classes; leave it out, or use a method for which 'metapipe "
            "plugins show' says any number of classes"
        )


def _check_ensemble(experiment: Experiment) -> None:
    """Refuse the mean of more checkpoints than there are validations to choose by."""
    training, wanted = experiment.training, experiment.evaluation.ensemble
    every = training.validate_every
    times = math.ceil(training.iterations / every) if every else 0
    if wanted > max(times, 1):
        raise SettingError(
            f"evaluation.ensemble = {wanted}: {training.iterations} iterations are "
            f"validated {times} times by training.validate_every = {every}; validate "
            "more often, or take fewer"
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


def check_all(learner: Learner, source: Source, recipes: Sequence[Task]) -> None:
    """Refuse the smallest or the largest episode of what is drawn, and say which option
    to change: where the largest is too large it is the end of the range."""
    least, *larger = recipes
    check_asked(learner, source, least)
    for most in larger:
        try:
            check_asked(learner, source, most)
        except UnsupportedError as error:
            names = [n for n in RANGES if getattr(most, n) > getattr(least, n)]
            option = re.compile(rf"--({'|'.join(names)})\b(?!-)")
            raise UnsupportedError(option.sub(r"--\1-to", str(error))) from error


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
    if asked.kind == "control" and _actions(asked) != _actions(trained):
        raise UnsupportedError(
            f"{task.dataset} has {_actions(asked)}, and the run learned to choose "
            f"{_actions(trained)}: choose a data set like the one it was trained on"
        )
    if not task.shots and learner.algorithm.needs_support:
        what = "trajectories" if asked.kind == "control" else "examples"
        each = "in each round" if asked.kind == "control" else "a class"
        raise UnsupportedError(
            f"shots = 0: this method learns a task from {what}, at least one {each}; "
            "use --shots 1 or more"
        )
    if task.shots and _learns_while_acting(learner):
        raise UnsupportedError(
            f"shots = {task.shots}: this method learns a world while it acts, and "
            "before that from nothing; use --shots 0"
        )
    if isinstance(source, Arena) and source.horizon < 1:
        raise PluginError(
            f"{task.dataset}: horizon = {source.horizon}: a trajectory has at least "
            "one step; let its settings say so"
        )
    source.check(task)
    learner.algorithm.check(trained, asked)


def _learns_while_acting(learner: Learner) -> bool:
    """Whether trajectories of before are of no use to it."""
    algorithm = learner.algorithm
    return (
        learner.problem.kind == "control"
        and not algorithm.needs_support
        and not algorithm.rounds(training=True)
    )


def _actions(problem: Problem) -> str:
    """What there is to choose, in words."""
    if problem.actions == "discrete":
        return f"one of {problem.outputs} actions"
    return f"actions of {problem.outputs} numbers"
