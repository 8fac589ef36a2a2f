"""Whether a lower precision may be trained in: it has to earn it."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..episode import Params
from ..errors import UnsupportedError
from .learner import Learner
from .loop import DrawBatch, TrainingState, meta_step

LEAST = 0.99
"""Cosine of the meta-gradient with that of float32."""


def require_exact(learner: Learner, state: TrainingState, draw: DrawBatch) -> None:
    """Raise UnsupportedError if the learner's precision gives another meta-gradient
    than float32, or none, on the first part of a meta-batch."""
    if learner.precision == "float32":
        return
    found, episodes = [], draw(state.step)[0]
    for precision in ("float32", learner.precision):
        torch.manual_seed(0)
        chosen = replace(learner, precision=precision)
        step = meta_step(chosen, state.meta, episodes, learner.mapping)
        found.append(_flat(step.gradients))
    exact, ours = found
    cosine = float(torch.cosine_similarity(exact, ours, dim=0))
    if not cosine >= LEAST:  # nor a number
        raise UnsupportedError(
            f"run.precision = '{learner.precision}': the meta-gradient is off (cosine "
            f"{cosine:.2f} with float32's, {LEAST} is wanted); use float32"
        )


def _flat(gradients: Params) -> torch.Tensor:
    return torch.cat([gradient.flatten().double() for gradient in gradients.values()])
