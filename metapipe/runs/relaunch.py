"""What a launcher's processes do when it starts them again: they go on with the run of
their job, if it has not ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import TrainingError
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..store import TaskStore
from ..store.records import RunRow
from ..training.crew import Crew
from .following import tell_over
from .joining import Place
from .outcome import Outcome
from .pipeline import resume

OVER = ("completed", "stopped")
"""How a run ends that its job does not go on with."""


def run_of_job(store: TaskStore, place: Place, experiment: Experiment) -> RunRow | None:
    """The run that the processes of a job have begun, if it is of this experiment: to
    go on with, or ended since they were started last."""
    found = None if place.job is None else store.run_of_job(place.job)
    if found is None or found.config != experiment.to_dict():
        return None
    return found if place.restarts or found.status not in OVER else None


def go_on(
    row: RunRow,
    registry: Registry,
    store: TaskStore,
    place: Place,
    crew: Crew,
    observers: Sequence[object],
) -> Outcome:
    """Resume a run that lost a process; one that ended is not begun again by processes
    that are started again. Raises TrainingError if it failed."""
    if place.restarts and row.status == "failed":
        raise TrainingError(f"run {row.id} failed: {row.error}")
    if place.restarts and row.status not in ("running", "lost"):
        outcome = _ended(row, store)
        tell_over(crew, outcome)
        return outcome
    return resume(row.id, registry, store, observers=observers, crew=crew, own=True)


def _ended(row: RunRow, store: TaskStore) -> Outcome:
    tests = [each for each in store.evaluations(row.id) if each.purpose == "test"]
    return Outcome(
        run_id=row.id,
        status=row.status,
        reason=row.reason,
        step=row.step,
        metrics={k: v for k, v in row.metrics.items() if v is not None},
        evaluation=tests[-1] if tests else None,
        directory=Path(row.directory),
        device=row.device,
        mapping=row.mapping or "loop",
    )
