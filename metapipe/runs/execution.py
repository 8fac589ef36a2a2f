"""How the meta-gradients of a run are executed: as they were before, where there was a
before."""

from __future__ import annotations

from ..experiment.experiment import Experiment
from ..numerics.choices import remembered
from ..store import TaskStore
from ..store.records import RunRow
from ..training.exactness import required_same
from ..training.execution_choice import fastest_execution, possible
from ..training.learner import Learner
from ..training.loop import DrawBatch, TrainingState
from ..training.trial import few, maps_tasks
from ..training_settings import Execution
from .mapping import parent_of, work_at

RECORD = "execution"
"""Under which the surroundings of a run name the one that was taken."""


def execution_for(
    experiment: Experiment, learner: Learner, state: TrainingState, draw: DrawBatch
) -> Execution:
    """That of the settings, if it has earned it; with `auto` the one that was the
    fastest here when this work was first done. Raises UnsupportedError."""
    asked = experiment.training.execution
    if asked == "eager":
        return asked
    if asked != "auto":
        required_same(learner.executed_by(asked), state, draw)
        return asked
    maps = maps_tasks(learner, state.meta, few(draw(state.step)[0]))
    executions = possible(learner, maps)
    work = {
        **work_at(experiment, learner),
        "mapping": str(learner.mapping),
        "executions": executions,
    }
    return remembered(
        work,
        executions,
        lambda: fastest_execution(learner, state, draw, executions),
    )


def execution_of(row: RunRow, device: str) -> Execution | None:
    """The one that a run took, if that can be on this device; None if it took none
    yet."""
    taken: Execution | None = row.environment.get(RECORD)
    if taken is None:  # or there was nothing to choose
        return "eager" if row.mapping is not None else None
    return taken if taken != "graph" or device.startswith("cuda") else "eager"


def execution_of_parent(
    row: RunRow, experiment: Experiment, store: TaskStore, device: str
) -> Execution | None:
    """That of the run which a run repeats, if it is the same work."""
    parent = parent_of(row, experiment, store)
    if parent is None:
        return None
    asked = parent.config["training"].get("execution", "eager")
    if asked != experiment.training.execution:
        return None
    return execution_of(parent, device)
