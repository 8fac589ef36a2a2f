"""The outer loop: meta-gradients into meta-parameters, one meta-batch at a time.

`iterations` yields what happened and knows of no store, display or file. Everything
random in iteration n is decided by the seed and n alone, so a run that stops anywhere
goes on bit for bit as if it had not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..algorithm import Group, Meta, Step
from ..episode import Episodes, Metrics, Task
from ..errors import DivergedError
from ..numerics.meter import meter_of
from ..numerics.task_map import LocalTaskMap
from ..numerics.tuning import fastest
from ..training_settings import TrainingSettings
from .crew import ALONE, Crew, own
from .evaluation import MAIN
from .execution import MetaGradient, executing, meta_step
from .learner import Learner
from .merging import merged_by
from .optimiser import optimiser

DIVERGED = 1000.0
"""A loss that grows to so many times its first value (at least 1) has diverged."""

PARTS, PASSES = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
"""Odd numbers that keep the random numbers of parts and passes apart."""

DrawBatch = Callable[[int], Sequence[Episodes]]
"""The meta-batch of iteration n, counted from 0, in parts whose gradients are computed
one after the other; of several processes each draws its own. Within a part episodes
agree in their shape."""


@dataclass
class TrainingState:
    """All that changes while training, and so all that a checkpoint must hold."""

    meta: Meta
    optimiser: torch.optim.Optimizer
    step: int = 0
    """Meta-iterations done."""

    first_loss: float | None = None
    """Mean loss of the first meta-batch: the measure of divergence."""


@dataclass(frozen=True)
class Iteration:
    """What one meta-iteration did."""

    step: int
    """Meta-iterations done, this one included."""

    tasks: tuple[Task, ...]
    metrics: Metrics
    """(T,) each, on the training device."""

    loss: float
    grad_norm: float
    lr: float


def initial_state(
    meta: Meta, settings: TrainingSettings, groups: Sequence[Group] = ()
) -> TrainingState:
    """The state before the first iteration, with the algorithm's `groups` of
    parameters."""
    meta = Meta(
        {name: p.clone().requires_grad_() for name, p in meta.params.items()},
        {name: b.clone() for name, b in meta.state.items()},
    )
    return TrainingState(meta, optimiser(meta.params, settings, groups))


def iterations(
    learner: Learner,
    state: TrainingState,
    settings: TrainingSettings,
    draw: DrawBatch,
    seed: int,
    crew: Crew = ALONE,
) -> Iterator[Iteration]:
    """Run the iterations that `state` has not done yet, changing it in place; all
    processes of a crew change theirs alike.

    Raises DivergedError when the loss or the gradient is no longer finite, or the loss
    has grown a thousandfold; `state` is then as it was before that step.
    """
    gradient = executing(learner)
    while state.step < settings.iterations:
        parts = draw(state.step)
        first = last = _pass(gradient, state, settings, parts, seed, 0, crew)
        for number in range(1, settings.passes):
            last = _pass(gradient, state, settings, parts, seed, number, crew)
        state.step += 1
        yield Iteration(state.step, *first._replace(metrics=_told(first, last)))


def choose_mapping(
    learner: Learner, state: TrainingState, maps: list[LocalTaskMap], draw: DrawBatch
) -> LocalTaskMap:
    """The fastest of `maps` that fits in memory, timed on the first meta-batch."""
    if len(maps) == 1:
        return maps[0]
    episodes = draw(state.step)[0]

    def work(task_map: LocalTaskMap) -> None:
        meta_step(learner, state.meta, episodes, task_map)

    tasks, meter = len(episodes.tasks), meter_of(learner.device)
    return fastest(maps, work, tasks=tasks, meter=meter)


def lr_at(settings: TrainingSettings, step: int) -> float:
    """The outer step size of the iteration that follows `step` done ones."""
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "steps":
        passed = [factor for place, factor in settings.factors if place <= step]
        return settings.lr * (passed[-1] if passed else 1.0)
    done = step / settings.iterations
    left = (
        1 - done
        if settings.schedule == "linear"
        else (1 + math.cos(math.pi * done)) / 2
    )
    return settings.final_lr + (settings.lr - settings.final_lr) * left


def same_rates(one: TrainingSettings, other: TrainingSettings, steps: int) -> bool:
    """Whether both have the same outer step sizes in the first so many iterations."""
    return all(lr_at(one, step) == lr_at(other, step) for step in range(steps))


class _Pass(NamedTuple):
    """What one pass over a meta-batch saw, before it moved anything."""

    tasks: tuple[Task, ...]
    metrics: Metrics
    loss: float
    grad_norm: float
    lr: float


def _pass(
    gradient: MetaGradient,
    state: TrainingState,
    settings: TrainingSettings,
    parts: Sequence[Episodes],
    seed: int,
    number: int,
    crew: Crew,
) -> _Pass:
    """A step of the outer optimiser; everything random in part k is decided by seed,
    iteration, k and the number of the pass."""
    steps = []
    for place, part in enumerate(parts, own(settings.shards, crew).start):
        torch.manual_seed(_mix(seed, state.step, place, number))
        steps.append(gradient(state.meta, part))
    update, tasks = merged_by(crew, steps, [part.tasks for part in parts])
    return _Pass(tasks, update.metrics, *_apply(state, settings, update))


def _told(first: _Pass, last: _Pass) -> Metrics:
    """Loss and accuracy of what was drawn, before anything moved; further figures, such
    as how far a policy went from the one that acted, when it has moved most."""
    found = {name: first.metrics[name] for name in MAIN if name in first.metrics}
    return {**last.metrics, **found}


def _apply(
    state: TrainingState, settings: TrainingSettings, update: Step
) -> tuple[float, float, float]:
    """Let the optimiser descend, if the update is sound; returns loss, norm of the
    gradient, and step size."""
    norm = torch.nn.utils.get_total_norm(update.gradients.values())
    loss = float(update.metrics["loss"].mean())
    _check(state, loss, float(norm))
    if settings.clip is not None and norm > settings.clip:
        scale = settings.clip / norm
        update = update._replace(
            gradients={k: g * scale for k, g in update.gradients.items()}
        )
    lr = lr_at(settings, state.step)
    for group in state.optimiser.param_groups:
        group["lr"] = lr * group["rate"]
    for name, p in state.meta.params.items():
        p.grad = update.gradients[name]
    state.optimiser.step()
    state.optimiser.zero_grad()
    state.meta = Meta(state.meta.params, update.state)
    return loss, float(norm), lr


def _check(state: TrainingState, loss: float, norm: float) -> None:
    advice = "lower training.lr or the algorithm's own step size, or set training.clip"
    at = f"at iteration {state.step + 1}"
    if not math.isfinite(loss):
        raise DivergedError(f"the loss is {loss} {at}: {advice}")
    if not math.isfinite(norm):
        raise DivergedError(f"the norm of the meta-gradient is {norm} {at}: {advice}")
    if state.first_loss is None:
        state.first_loss = loss
    if loss > DIVERGED * max(state.first_loss, 1.0):
        raise DivergedError(
            f"the loss grew from {state.first_loss:.3g} to {loss:.3g} {at}: {advice}"
        )


def _mix(seed: int, step: int, place: int, number: int) -> int:
    """A seed for torch that differs for every seed, step, part and pass."""
    return (seed * 2**32 + step + place * PARTS + number * PASSES) % 2**63
