"""Train, resume, evaluate: what the command line does, as functions."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import NotFoundError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.listeners import handed
from ..experiment.reading import Reading
from ..experiment.registry import Registry
from ..numerics.threads import computing_with
from ..store import TaskStore
from ..store.records import RunRow
from ..training.crew import ALONE, Crew
from .agreement import require_agreement
from .continuation import longer, tell_of_former_end
from .entry import new_run
from .following import tell_plan
from .joining import Place
from .labels import UNLABELLED, Labels
from .leading import lead
from .observing import check_observers
from .outcome import Outcome
from .preparation import check_dropout, check_trainable
from .provenance import host
from .ranking import goodness
from .resumption import Resumption, resumption
from .run_files import tidy
from .start import Start, prepared_from, start_of
from .stored_run import require_same_data
from .threads import threads_for

NOWHERE: Mapping[str, str] = {}

HERE = Place()

logger = logging.getLogger("metapipe")


def train(
    experiment: Experiment,
    registry: Registry,
    store: TaskStore,
    project: Path,
    *,
    origins: Mapping[str, str] = NOWHERE,
    parent: int | None = None,
    start: Start | None = None,
    observers: Sequence[object] = (),
    labels: Labels = UNLABELLED,
    trial: tuple[str, int] | None = None,
    crew: Crew = ALONE,
    place: Place = HERE,
) -> Outcome:
    """Run an experiment: train, then evaluate on the split its settings name.

    `observers` are objects with hook implementations, told beside the plugins.
    `trial` is the search that the run belongs to, and its number there. `crew` are the
    processes that do it together, of which this one leads, at its `place`.
    `origins` tell where settings came from: of what a user gave and nothing reads, a
    warning is logged. Everything that can be refused is refused before the run is
    entered in the store.
    """
    told = handed(observers)
    reading = Reading.of(experiment, origins)
    labels.check()
    check_observers(experiment, registry)
    repeated = None if parent is None else store.run(parent)
    with computing_with(threads_for(experiment, repeated)):
        tell_plan(crew, experiment, None if start is None else start.checkpoint)
        prepared = prepared_from(reading.experiment, start, registry=registry)
        crew.share(None)
        require_agreement(crew, prepared, registry)
        check_dropout(experiment, prepared.learner.network)
        reading.tell(["model"])
        check_trainable(prepared)
        entry = new_run(
            *(experiment, prepared, registry, project, start, parent, trial),
            *(origins or None, place),
        )
        run_id = store.begin_run(entry)
        labels.put(store, run_id)
        outcome = lead(run_id, prepared, None, registry, store, told, crew=crew)
    reading.tell(["task", "training", "algorithm", "dataset"])
    return outcome


def resume(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    *,
    observers: Sequence[object] = (),
    iterations: int | None = None,
    minutes: float | None = None,
    crew: Crew = ALONE,
    own: bool = False,
) -> Outcome:
    """Go on with a run from its newest whole checkpoint, or from the start if it has
    none; to another end, if one is given, as if that had been asked for from the
    start. A run of this process's `own`, or of one before it that was killed, may still
    be called running."""
    told = handed(observers)
    row = store.run(run_id)
    if row.backbone is not None:
        raise UsageError(
            f"run {run_id} is a task that {row.backbone} learned: there is nothing to "
            "resume; adapt anew with metapipe adapt --backbone"
        )
    if row.status == "running" and not own:
        raise UsageError(
            f"run {run_id} is running, process {row.pid} on {row.host}, and cannot be "
            f"resumed; repeat it with metapipe train --from-run {run_id}"
        )
    recorded = Experiment.recorded(row.config, row.plugins, registry)
    experiment = longer(row, recorded, iterations, minutes)
    found = resumption(store, row)
    checkpoint = None if found is None else found.checkpoint
    if found is None and row.status == "completed":
        raise NotFoundError(f"run {run_id} has no checkpoint to go on from")
    start = None if found else start_of(store, experiment, row)
    with computing_with(threads_for(experiment, row)):
        tell_plan(crew, experiment, start.checkpoint if start else checkpoint)
        prepared = prepared_from(experiment, start, checkpoint)
        crew.share(None)
        require_agreement(crew, prepared, registry)
        require_same_data(row.fingerprint, prepared.sources["train"])
        store.reopen_run(
            run_id,
            host=host(),
            pid=os.getpid(),
            step=found.recorded if found else 0,
            config=experiment.to_dict() if experiment != recorded else None,
            seen=row.step,
            own=own,
        )
        if row.status == "completed":
            tell_of_former_end(row, experiment)
        if found and not found.known and not found.unrecorded:
            store.save_checkpoint(run_id, found.info, found.best)
        _tidy(store, row, found)
        select = experiment.training.select
        before = () if row.status == "stopped" else _validations(store, run_id, select)
        return lead(run_id, prepared, found, registry, store, told, before, crew)


def _tidy(store: TaskStore, row: RunRow, found: Resumption | None) -> None:
    """Remove what killed processes left of a run that goes on."""
    needed = [Path(checkpoint.path) for checkpoint in store.checkpoints(row.id)]
    needed += [found.info.path] if found else []
    tidy(Path(row.directory), needed, store.folders)


def _validations(store: TaskStore, run_id: int, select: str) -> list[float]:
    """Those of a run so far, greater being better."""
    accuracies = {row.step: row.value for row in store.metrics(run_id, "val_accuracy")}
    return [
        goodness(select, row.value, accuracies.get(row.step))
        for row in store.metrics(run_id, "val_loss")
    ]
