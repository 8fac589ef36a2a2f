"""Train, resume, evaluate: what the command line does, as functions."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import NotFoundError, StoreError, UsageError
from ..events import RunInfo
from ..experiment.experiment import Experiment
from ..experiment.listeners import Listener, handed, of_plugins
from ..experiment.reading import Reading
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..shown import Shown
from ..store import TaskStore
from ..store.records import EvaluationRow, NewEvaluation, RunRow
from ..training.exactness import require_exact
from ..training.learner import Learner
from ..training.loop import initial_state
from .continuation import longer, tell_of_former_end
from .ensembles import as_many_as_there_are
from .entry import new_run
from .examination import final_test
from .heartbeat import heartbeat
from .labels import UNLABELLED, Labels
from .mapping import mapping_for, mapping_of_parent
from .observing import check_observers, named_listeners
from .patience import Patience
from .preparation import Prepared, check_dropout, check_trainable
from .provenance import host
from .ranking import goodness
from .reporter import Reporter
from .resumption import Resumption, resumption
from .run_files import tidy
from .session import TrainingSession
from .signals import Interruption, interruptible
from .start import Start, prepared_from, start_of
from .stored_run import require_same_data

NOWHERE: Mapping[str, str] = {}

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Outcome(Shown):
    """How a training run ended."""

    run_id: int
    status: str
    reason: str | None
    """Why an observer stopped it."""

    step: int
    metrics: Mapping[str, float]
    evaluation: EvaluationRow | None
    directory: Path
    device: str
    mapping: str


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
) -> Outcome:
    """Run an experiment: train, then evaluate on the split its settings name.

    `observers` are objects with hook implementations, told beside the plugins.
    `trial` is the search that the run belongs to, and its number there.
    `origins` tell where settings came from: of what a user gave and nothing reads, a
    warning is logged. Everything that can be refused is refused before the run is
    entered in the store.
    """
    told = handed(observers)
    reading = Reading.of(experiment, origins)
    prepared = prepared_from(reading.experiment, start, registry=registry)
    labels.check()
    check_observers(experiment, registry)
    check_dropout(experiment, prepared.learner.network)
    reading.tell(["model"])
    check_trainable(prepared)
    entry = new_run(
        experiment, prepared, registry, project, start, parent, trial, origins or None
    )
    run_id = store.begin_run(entry)
    labels.put(store, run_id)
    outcome = _run(run_id, prepared, None, registry, store, told)
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
) -> Outcome:
    """Go on with a run from its newest whole checkpoint, or from the start if it has
    none; to another end, if one is given, as if that had been asked for from the
    start."""
    told = handed(observers)
    row = store.run(run_id)
    if row.backbone is not None:
        raise UsageError(
            f"run {run_id} is a task that {row.backbone} learned: there is nothing to "
            "resume; adapt anew with metapipe adapt --backbone"
        )
    if row.status == "running":
        raise UsageError(
            f"run {run_id} is running, process {row.pid} on {row.host}, and cannot be "
            f"resumed; repeat it with metapipe train --from-run {run_id}"
        )
    recorded = Experiment.from_dict(row.config, registry)
    experiment = longer(row, recorded, iterations, minutes)
    found = resumption(store, row)
    checkpoint = None if found is None else found.checkpoint
    if found is None and row.status == "completed":
        raise NotFoundError(f"run {run_id} has no checkpoint to go on from")
    start = None if found else start_of(store, experiment, row)
    prepared = prepared_from(experiment, start, checkpoint)
    require_same_data(row.fingerprint, prepared.sources["train"])
    step = found.recorded if found else 0
    other_end = experiment.to_dict() if experiment != recorded else None
    store.reopen_run(
        run_id, host=host(), pid=os.getpid(), step=step, config=other_end, seen=row.step
    )
    if row.status == "completed":
        tell_of_former_end(row, experiment)
    if found and not found.known and not found.unrecorded:
        store.save_checkpoint(run_id, found.info, found.best)
    _tidy(store, row, found)
    select = experiment.training.select
    before = () if row.status == "stopped" else _validations(store, run_id, select)
    return _run(run_id, prepared, found, registry, store, told, before)


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


def _run(
    run_id: int,
    prepared: Prepared,
    found: Resumption | None,
    registry: Registry,
    store: TaskStore,
    told: Sequence[Listener],
    before: Sequence[float] = (),
) -> Outcome:
    """Train to the end, from where a process before had come if one had; evaluate, and
    close the run's books."""
    experiment = prepared.experiment
    row = store.run(run_id)
    groups = experiment.algorithm.groups()
    state = initial_state(prepared.meta, experiment.training, groups)
    info = RunInfo(
        id=run_id,
        name=row.name,
        experiment=row.config,
        directory=Path(row.directory),
        step=found.checkpoint.step if found else 0,
        iterations=experiment.training.iterations,
        kind=prepared.learner.problem.kind,
        tags=row.tags,
        note=row.notes,
    )
    patience = experiment.training.patience
    select = experiment.training.select
    own = handed([Patience(patience, select, before)] if patience else [])
    named = named_listeners(experiment, registry, run_id)
    reporter = Reporter(info, store, [*own, *told, *named, *of_plugins(registry)])
    session = TrainingSession(
        experiment, prepared.learner, state, prepared.sources, reporter
    )
    with heartbeat(store, run_id), interruptible(store.hurry) as interruption:
        try:
            reporter.started()
            _begin(session, row, found)
            return _work(session, registry, interruption)
        except KeyboardInterrupt:  # a second one
            store.hurry()
            with suppress(StoreError):
                reporter.finished("interrupted", session.latest, session.seconds)
            raise
        except BaseException as error:
            reporter.failed(error)
            raise


def _begin(session: TrainingSession, row: RunRow, found: Resumption | None) -> None:
    """Take up what was done before, and choose how tasks are mapped."""
    store = session.reporter.store
    if found:
        header = found.checkpoint.header
        found.checkpoint.restore(session.state)
        session.reporter.last = found.info.path
        session.best, session.seconds = found.ranking, header["seconds"]
        session.latest = {m.name: m.value for m in store.metrics(row.id)}
    known = found.checkpoint.header["mapping"] if found else row.mapping
    session.learner = _mapped(session, row, known)
    mapping = str(session.learner.mapping)
    store.update_run(row.id, mapping=mapping)
    logger.info("training on %s, tasks mapped by %s", session.learner.device, mapping)
    if found and found.unrecorded:
        session.catch_up(found.unrecorded)


def _work(
    session: TrainingSession, registry: Registry, interruption: Interruption
) -> Outcome:
    """Train, and evaluate what was completed."""
    reporter, store = session.reporter, session.reporter.store
    status = session.train(interruption)
    if status != "completed":
        reporter.finished(status, session.latest, session.seconds)
        return _outcome(session, status)
    row, settings = store.run(reporter.run.id), session.experiment.evaluation
    try:
        settings = as_many_as_there_are(store, row, settings)
        opened = session.sources[settings.split]
        with interruption.at_once():
            new, records = final_test(
                row, registry, store, settings, reporter.advanced, opened
            )
    except KeyboardInterrupt:
        logger.warning("only the test is left to do: metapipe resume %d", row.id)
        reporter.finished("interrupted", session.latest, session.seconds)
        return _outcome(session, "interrupted")
    figures = session.latest | _figures(new)
    number = reporter.completed(new, records, figures, session.seconds)
    return _outcome(session, "completed", figures, store.evaluation(number))


def _outcome(
    session: TrainingSession,
    status: str,
    figures: Mapping[str, float] | None = None,
    evaluation: EvaluationRow | None = None,
) -> Outcome:
    reporter = session.reporter
    return Outcome(
        run_id=reporter.run.id,
        status=status,
        reason=reporter.stops if status == "stopped" else None,
        step=session.state.step,
        metrics=session.latest if figures is None else figures,
        evaluation=evaluation,
        directory=reporter.run.directory,
        device=session.learner.device,
        mapping=str(session.learner.mapping),
    )


def _mapped(session: TrainingSession, row: RunRow, known: str | None) -> Learner:
    """The learner with its task map: that known of the run, or of the run it repeats,
    or the fastest."""
    learner, experiment = session.learner, session.experiment
    if known is not None:
        return replace(learner, mapping=LocalTaskMap.parse(known))
    repeated = mapping_of_parent(row, experiment, session.reporter.store)
    best = mapping_for(experiment, learner, session.state, session.draw, repeated)
    chosen = replace(learner, mapping=best)
    require_exact(chosen, session.state, session.draw)
    return chosen


def _figures(evaluation: NewEvaluation) -> dict[str, float]:
    """The figures of the final evaluation, by the names the run keeps them under."""
    split = evaluation.split
    figures = {f"{split}_loss": evaluation.loss}
    if evaluation.accuracy is not None and evaluation.accuracy_ci95 is not None:
        figures[f"{split}_accuracy"] = evaluation.accuracy
        figures[f"{split}_accuracy_ci95"] = evaluation.accuracy_ci95
    return figures
