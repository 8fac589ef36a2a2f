"""The outer loop: meta-gradients into meta-parameters, one meta-batch at a time.

`iterations` yields what happened and knows of no store, display or file. Everything
random in iteration n is decided by the seed and n alone, so a run that stops anywhere
goes on bit for bit as if it had not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..algorithm import Meta, Step
from ..episode import Episodes, Metrics, Task
from ..errors import DivergedError
from ..numerics.task_map import TaskMap
from ..numerics.tuning import fastest
from ..settings import TrainingSettings
from .learner import Learner
from .optimiser import optimiser

DIVERGED = 1000.0
"""A loss that grows to so many times its first value (at least 1) has diverged."""

DrawBatch = Callable[[int], Episodes]
"""The meta-batch of iteration n, counted from 0."""


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
    meta: Meta, settings: TrainingSettings, undecayed: tuple[str, ...] = ()
) -> TrainingState:
    """The state before the first iteration. Weight decay leaves alone the parameters
    whose names begin with one of `undecayed`."""
    meta = Meta(
        {name: p.clone().requires_grad_() for name, p in meta.params.items()},
        {name: b.clone() for name, b in meta.state.items()},
    )
    return TrainingState(meta, optimiser(meta.params, settings, undecayed))


def iterations(
    learner: Learner,
    state: TrainingState,
    settings: TrainingSettings,
    draw: DrawBatch,
    seed: int,
) -> Iterator[Iteration]:
    """Run the iterations that `state` has not done yet, changing it in place.

    Raises DivergedError when the loss or the gradient is no longer finite, or the loss
    has grown a thousandfold; `state` is then as it was before that iteration.
    """
    while state.step < settings.iterations:
        torch.manual_seed(_mix(seed, state.step))
        episodes = draw(state.step)
        update = meta_step(learner, state.meta, episodes, learner.mapping)
        yield _apply(state, settings, episodes.tasks, update)


def meta_step(
    learner: Learner, meta: Meta, episodes: Episodes, mapping: TaskMap
) -> Step:
    """One meta-gradient, without changing anything."""
    detached = Meta({k: p.detach() for k, p in meta.params.items()}, meta.state)
    return learner.algorithm.meta_gradient(learner.network, detached, episodes, mapping)


def choose_mapping(
    learner: Learner, state: TrainingState, maps: list[TaskMap], draw: DrawBatch
) -> TaskMap:
    """The fastest of `maps` that fits in memory, timed on the first meta-batch."""
    if len(maps) == 1:
        return maps[0]
    episodes = draw(state.step)
    tasks = len(episodes.tasks) if learner.device == "cpu" else 1
    return fastest(
        maps, lambda m: meta_step(learner, state.meta, episodes, m), tasks=tasks
    )


def lr_at(settings: TrainingSettings, step: int) -> float:
    """The outer step size of the iteration that follows `step` done ones."""
    done = step / settings.iterations
    if settings.schedule == "constant":
        return settings.lr
    left = (
        1 - done
        if settings.schedule == "linear"
        else (1 + math.cos(math.pi * done)) / 2
    )
    return settings.final_lr + (settings.lr - settings.final_lr) * left


def _apply(
    state: TrainingState,
    settings: TrainingSettings,
    tasks: tuple[Task, ...],
    update: Step,
) -> Iteration:
    """Let the optimiser descend, if the update is sound."""
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
        group["lr"] = lr
    for name, p in state.meta.params.items():
        p.grad = update.gradients[name]
    state.optimiser.step()
    state.optimiser.zero_grad()
    state.meta = Meta(state.meta.params, update.state)
    state.step += 1
    return Iteration(state.step, tasks, update.metrics, loss, float(norm), lr)


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


def _mix(seed: int, step: int) -> int:
    """A seed for torch that differs for every seed and step."""
    return (seed * 2**32 + step) % 2**63
