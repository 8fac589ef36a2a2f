"""Which execution of meta-gradients is fastest here, of those that are the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from ..errors import MetapipeError
from ..numerics.meter import meter_of
from ..numerics.tuning import quickest
from ..training_settings import Execution
from .device import has_execution
from .exactness import required_same
from .execution import MetaGradient
from .learner import Learner
from .loop import DrawBatch, TrainingState

ROUNDS = 5

logger = logging.getLogger("metapipe")


def possible(learner: Learner, maps: bool) -> list[Execution]:
    """Those that can be; `maps` says whether the method maps anything over tasks."""
    found: list[Execution] = ["eager"]
    if not (learner.mapping.threaded or learner.recompute):
        found.append("graph")
    if learner.precision == "float32" and not maps:
        found.append("compile")
    return [each for each in found if has_execution(each, learner.device)]


def fastest_execution(
    learner: Learner,
    state: TrainingState,
    draw: DrawBatch,
    executions: Sequence[Execution],
) -> Execution:
    """The one with which the first meta-gradient takes least time, best of interleaved
    rounds; one that cannot be, or is not the same, is told of and left out."""
    ready: dict[Execution, MetaGradient] = {}
    for execution in executions:
        chosen = learner.executed_by(execution)
        try:
            ready[execution] = required_same(chosen, state, draw)
        except MetapipeError as error:
            if execution == "eager":
                raise
            logger.info("not %s: %s", execution, error)
    if len(ready) == 1:
        return "eager"
    episodes, meter = draw(state.step)[0], meter_of(learner.device)
    timed = {
        execution: partial(meter.seconds, partial(gradient, state.meta, episodes))
        for execution, gradient in ready.items()
    }
    with learner.mapping.undisturbed():
        return quickest(timed, ROUNDS)
