"""How much memory a training will take, by what its first tasks take here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import torch

from ..dataset import Arena
from ..episode import Episodes
from ..experiment.experiment import Experiment
from ..numerics.memory import give_back_freed_memory
from ..numerics.meter import meter_of
from ..numerics.recomputation import recomputing
from ..numerics.task_map import LocalTaskMap
from ..numerics.tuning import candidates
from ..training.evaluation import BATCH, figures
from ..training.execution import meta_step
from ..training.loop import TrainingState, initial_state
from ..training.rollout import draw
from ..training.trial import able, few
from .evaluations import evaluation_tasks
from .preparation import Prepared
from .recipes import extremes

LOOP, VMAP = LocalTaskMap("loop"), LocalTaskMap("vmap")
FEW, MORE = 4, 8
"""Tasks on which it is measured; what more take follows."""

AMPLE = 4
"""Where so many times what tasks should take is left, all of them are tried at once: on
a CPU, what few take is measured too roughly to tell of many."""

TWICE = 2
"""Since memory that is freed is kept, in pieces that do not all fit the next time."""

Measure = Callable[[LocalTaskMap, int], int]
"""Bytes that so many tasks take, mapped so."""


@dataclass(frozen=True)
class Need:
    """Of a training whose tasks are mapped so, in bytes."""

    mapping: str
    graphs: int
    """What a meta-gradient takes at most, or an evaluation if that is more."""

    total: int
    """With all that is there beside."""

    fits: bool


@dataclass(frozen=True)
class Forecast:
    """Of one process of a training, in bytes on its device."""

    device: str
    available: int
    """What can still be had."""

    process: int
    """What is there before the first iteration: on a CPU with Python and its libraries,
    on a GPU parameters, constants and what the optimiser remembers."""

    data: int
    """The training set as it is kept; 0 if it is made when drawn. On a CPU it stays on
    disk and is read as it is needed."""

    parameters: int
    """And state."""

    optimiser: int
    """What the optimiser remembers."""

    task: int
    """What the meta-gradient of one task takes."""

    recomputed: int | None
    """The same with training.recompute; None where that changes nothing."""

    tasks: int
    """Of a meta-batch, or of a shard of it."""

    needs: tuple[Need, ...]
    advice: str | None
    """What to do where nothing fits of what may be used."""


def forecast(prepared: Prepared) -> Forecast:
    """Measured on one task and a few; what many take follows from that. Meta-gradients
    and evaluations are computed for it, and nothing of them is kept. Where the sizes of
    episodes are drawn it is of the largest."""
    training, learner = prepared.experiment.training, prepared.learner
    state = _stepped(prepared)
    trial = _Trial(prepared, state)
    trial.training(LOOP, 1)  # the first loads what all others use
    give_back_freed_memory()
    process, left = trial.meter.begin(), trial.meter.left()
    tasks = math.ceil(training.tasks / training.shards)
    found = {
        mapping: trial.most(mapping, tasks, left)
        for mapping in candidates(
            training.mapping, training.at_once, tasks, learner.device
        )
        if mapping.mode in ("loop", "threads") or trial.able(mapping)
    }
    needs = tuple(
        Need(str(mapping), most, process + most, most <= left)
        for mapping, most in found.items()
    )
    recomputed = trial.recomputed()
    return Forecast(
        device=learner.device,
        available=left,
        process=process,
        data=prepared.sources["train"].facts.nbytes,
        parameters=_bytes([*state.meta.params.values(), *state.meta.state.values()]),
        optimiser=_bytes(
            [
                value
                for kept in state.optimiser.state.values()
                for value in kept.values()
            ]
        ),
        task=trial.training(LOOP, 1),
        recomputed=recomputed,
        tasks=tasks,
        needs=needs,
        advice=None
        if any(need.fits for need in needs)
        else _advice(prepared.experiment, trial, recomputed, left),
    )


class _Trial:
    """Meta-gradients and evaluations of a few tasks, each measured once."""

    def __init__(self, prepared: Prepared, state: TrainingState) -> None:
        self._prepared, self._state = prepared, state
        self.meter = meter_of(prepared.learner.device)
        self.training: Measure = cache(self._training)
        self.judging: Measure = cache(self._judging)

    def most(self, mapping: LocalTaskMap, tasks: int, left: int) -> int:
        """Bytes that a training takes whose meta-batch is of so many tasks."""
        most = _needed(self.training, mapping, tasks, left)
        if isinstance(self._prepared.sources["train"], Arena):
            return most  # there it is acted as in training
        judged = min(BATCH, self._prepared.experiment.evaluation.episodes)
        return max(most, _needed(self.judging, mapping, judged, left))

    def able(self, mapping: LocalTaskMap) -> bool:
        """Whether tasks can be mapped so."""
        episodes = self._drawn(FEW)
        return able(self._prepared.learner, self._state.meta, few(episodes), mapping)

    def recomputed(self) -> int | None:
        """Of one task with steps recomputed; None if there are none, or they are
        anyway."""
        if self._prepared.learner.recompute:
            return None
        learner = replace(self._prepared.learner, recompute=True)
        with recomputing() as found:
            most = self._measured(
                lambda: meta_step(learner, self._state.meta, self._drawn(1), LOOP)
            )
        return most if found.steps else None

    def _training(self, mapping: LocalTaskMap, tasks: int) -> int:
        def work() -> None:
            with mapping.undisturbed():
                episodes = self._drawn(tasks)
                meta_step(self._prepared.learner, self._state.meta, episodes, mapping)

        return self._measured(work)

    def _judging(self, mapping: LocalTaskMap, tasks: int) -> int:
        settings = self._prepared.experiment.evaluation
        learner, meta = self._prepared.learner, self._state.meta
        source = self._prepared.sources[settings.split]
        first, *_ = evaluation_tasks(self._prepared.experiment, settings)

        def work() -> None:
            recipes = [replace(first, index=number) for number in range(tasks)]
            episodes = draw(learner, meta, source, recipes)
            with torch.no_grad(), learner.computing(), mapping.undisturbed():
                figures(learner, meta, episodes, settings.prediction, mapping)

        return self._measured(work)

    def _drawn(self, tasks: int) -> Episodes:
        *_, largest = extremes(self._prepared.experiment)
        recipes = [replace(largest, index=number) for number in range(tasks)]
        learner, source = self._prepared.learner, self._prepared.sources["train"]
        return draw(learner, self._state.meta, source, recipes, training=True)

    def _measured(self, work: Callable[[], object]) -> int:
        give_back_freed_memory()
        before = self.meter.begin()
        with torch.random.fork_rng(devices=[]):
            for _ in range(TWICE):
                work()
        self.meter.wait()
        return max(0, self.meter.most() - before)


def _needed(measure: Measure, mapping: LocalTaskMap, tasks: int, left: int) -> int:
    """Of many tasks. One after the other, each adds what it leaves behind, which is all
    of it where a method embeds a whole meta-batch in one call; and while it is computed
    it has its graph alone."""
    one, some = (
        measure(LOOP, 1),
        min(tasks, MORE if MORE * measure(LOOP, 1) < left else 2),
    )
    each = max(0, measure(LOOP, some) - one) / max(1, some - 1)
    alone, alive = max(0, one - each), mapping.alive(tasks)
    if mapping.mode in ("loop", "threads"):
        return round(alone * alive + each * tasks)
    if alive <= MORE or AMPLE * alive * one < left:
        at_once = float(measure(VMAP, alive))
    elif some < MORE:  # not to be tried
        at_once = alive * float(one)
    else:
        many = measure(VMAP, MORE)
        more = max(0, many - measure(VMAP, FEW)) / (MORE - FEW)
        at_once = many + (alive - MORE) * more
    return round(at_once + each * (tasks - alive))


def _advice(
    experiment: Experiment, trial: _Trial, recomputed: int | None, left: int
) -> str:
    """What would fit."""
    training = experiment.training
    tasks = math.ceil(training.tasks / training.shards)
    if trial.most(LOOP, tasks, left) <= left:
        return "use --mapping loop"
    for shards in range(training.shards + 1, training.tasks + 1):
        if trial.most(LOOP, math.ceil(training.tasks / shards), left) <= left:
            return f"use --shards {shards}"
    if recomputed is not None and recomputed <= left:
        return "use --recompute"
    return "use fewer ways or queries, smaller inputs, or a smaller model"


def _stepped(prepared: Prepared) -> TrainingState:
    """The state when an optimiser has all that it remembers."""
    experiment = prepared.experiment
    groups = experiment.algorithm.groups()
    state = initial_state(prepared.meta, experiment.training, groups)
    for parameter in state.meta.params.values():
        parameter.grad = torch.zeros_like(parameter)
    state.optimiser.step()
    state.optimiser.zero_grad()
    return state


def _bytes(values: Iterable[object]) -> int:
    return sum(v.nbytes for v in values if isinstance(v, torch.Tensor))
