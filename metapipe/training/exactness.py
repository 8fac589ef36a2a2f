"""Whether a lower precision, or another execution, may be trained in: it has to earn
it."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from ..algorithm import Step
from ..errors import UnsupportedError
from .execution import MetaGradient, executing, meta_step, refused
from .learner import Learner
from .loop import DrawBatch, TrainingState

LEAST = 0.99
"""Cosine of the meta-gradient with that of float32."""

LEAST_EXECUTED = 0.9999
"""The same of an execution with that of `eager`: they differ in rounding."""


def require_exact(learner: Learner, state: TrainingState, draw: DrawBatch) -> None:
    """Raise UnsupportedError if the learner's precision gives another meta-gradient
    than float32, or none, on the first part of a meta-batch."""
    if learner.precision == "float32":
        return
    found, episodes = [], draw(state.step)[0]
    for precision in ("float32", learner.precision):
        torch.manual_seed(0)
        chosen = replace(learner, precision=precision)
        found.append(meta_step(chosen, state.meta, episodes, learner.mapping))
    cosine = _cosine(*found)
    if not cosine >= LEAST:  # nor a number
        raise UnsupportedError(
            f"run.precision = '{learner.precision}': the meta-gradient is off (cosine "
            f"{_down(cosine)} with float32's, {LEAST} is wanted); use float32"
        )


def required_same(
    learner: Learner, state: TrainingState, draw: DrawBatch
) -> MetaGradient:
    """Meta-gradients by the learner's execution. Raises UnsupportedError if they are
    others than those of `eager`, or none, on the first parts of two meta-batches: what
    was recorded of the one has to do for the other."""
    ours, plain = executing(learner), executing(learner.executed_by("eager"))
    if learner.execution == "eager":
        return plain
    for number in (state.step + 1, state.step):
        found, episodes = [], draw(number)[0]
        for gradient in (plain, ours):
            torch.manual_seed(0)
            found.append(gradient(state.meta, episodes))
        cosine = _cosine(*found)
        if not cosine >= LEAST_EXECUTED:  # nor a number
            raise refused(
                learner,
                f"the meta-gradient is off (cosine {_down(cosine)} with that of "
                f"eager, {LEAST_EXECUTED} is wanted)",
            )
    return ours


def _cosine(one: Step, other: Step) -> float:
    return float(torch.cosine_similarity(_flat(one), _flat(other), dim=0))


def _down(cosine: float) -> str:
    """Five digits, rounded down: never what is wanted where less was found."""
    return f"{math.floor(cosine * 1e5) / 1e5:.5f}" if math.isfinite(cosine) else "nan"


def _flat(step: Step) -> torch.Tensor:
    return torch.cat([g.flatten().double() for g in step.gradients.values()])
