"""Leading a run: what the one process does that has its store and its observers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import (
    CrewError,
    CrewLostError,
    DivergedError,
    OutOfMemoryError,
    StoreError,
    WriteError,
)
from ..events import RunInfo
from ..experiment.listeners import Listener, handed, of_plugins
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..store import TaskStore
from ..store.records import EvaluationRow, NewEvaluation, RunRow
from ..training.crew import ALONE, Crew
from ..training.exactness import require_exact
from ..training.learner import Learner
from ..training.loop import initial_state
from .ensembles import as_many_as_there_are
from .examination import final_test
from .execution import RECORD, execution_for, execution_of, execution_of_parent
from .following import tell_beginning, tell_end
from .heartbeat import heartbeat
from .mapping import mapping_for, mapping_of_parent
from .observing import named_listeners
from .outcome import Outcome
from .patience import Patience
from .preparation import Prepared
from .ranking import to_json
from .reporter import Reporter
from .resumption import Resumption
from .session import TrainingSession
from .signals import Interruption, interruptible
from .threads import cores

SAID = (StoreError, CrewError, WriteError, DivergedError, OutOfMemoryError)
"""Errors that say themselves what is to be done, which may be to begin anew."""

logger = logging.getLogger("metapipe")


def lead(
    run_id: int,
    prepared: Prepared,
    found: Resumption | None,
    registry: Registry,
    store: TaskStore,
    told: Sequence[Listener],
    before: Sequence[float] = (),
    crew: Crew = ALONE,
) -> Outcome:
    """Train to the end, from where a process before had come if one had; evaluate, and
    close the run's books. `before` are validations that count for its patience."""
    experiment, row = prepared.experiment, store.run(run_id)
    patience, own = experiment.training.patience, []
    if patience:
        own = handed([Patience(patience, experiment.training.select, before)])
    named = named_listeners(experiment, registry, run_id)
    listeners = [*own, *told, *named, *of_plugins(registry)]
    reporter = Reporter(_info(row, prepared, found), store, listeners)
    groups = experiment.algorithm.groups()
    state = initial_state(prepared.meta, experiment.training, groups)
    session = TrainingSession(
        experiment, prepared.learner, state, prepared.sources, reporter, crew
    )
    with (
        heartbeat(store, run_id),
        interruptible(store.hurry) as interruption,
        _closing(session, reporter),
    ):
        reporter.started()
        _begin(session, reporter, row, found)
        return _work(session, reporter, registry, interruption)


def _info(row: RunRow, prepared: Prepared, found: Resumption | None) -> RunInfo:
    """The run, as listeners are told of it."""
    return RunInfo(
        id=row.id,
        name=row.name,
        experiment=row.config,
        directory=Path(row.directory),
        step=found.checkpoint.step if found else 0,
        iterations=prepared.experiment.training.iterations,
        kind=prepared.learner.problem.kind,
        tags=row.tags,
        note=row.notes,
    )


@contextmanager
def _closing(session: TrainingSession, reporter: Reporter) -> Iterator[None]:
    """Whatever ends a run inside, the store is told, and the error how to go on."""
    run, store = reporter.run.id, reporter.store
    try:
        yield
    except KeyboardInterrupt:  # a second one
        store.hurry()
        with suppress(StoreError):
            reporter.finished("interrupted", session.latest, session.seconds)
        raise
    except CrewLostError as error:
        reporter.failed(error)
        raise CrewLostError(f"{error}; metapipe resume {run}") from error
    except BaseException as error:
        reporter.failed(error)
        if not isinstance(error, SAID):
            error.add_note(f"run {run} has failed: metapipe resume {run}")
        raise


def _begin(
    session: TrainingSession, reporter: Reporter, row: RunRow, found: Resumption | None
) -> None:
    """Take up what was done before, and choose how tasks are mapped."""
    store = reporter.store
    if found:
        header = found.checkpoint.header
        found.checkpoint.restore(session.state)
        reporter.last = found.info.path
        session.best, session.seconds = found.ranking, header["seconds"]
        session.latest = {m.name: m.value for m in store.metrics(row.id)}
    known = found.checkpoint.header["mapping"] if found else row.mapping
    mapped = _mapped(session, store, row, known)
    session.learner = _executed(session, store, row, mapped)
    mapping, execution = str(session.learner.mapping), session.learner.execution
    chosen = session.experiment.training.execution != "eager"
    told = {RECORD: execution} if chosen else {}
    store.update_run(row.id, mapping=mapping, environment={**row.environment, **told})
    logger.info(
        "training on %s, tasks mapped by %s%s%s",
        *(session.learner.device, mapping, _threads(session)),
        f", execution: {execution}" if told else "",
    )
    facts = {
        "resumed": found is not None,
        "unrecorded": found is not None and found.unrecorded is not None,
        "mapping": mapping,
        "execution": execution,
        "best": to_json(session.best),
        "seconds": session.seconds,
    }
    tell_beginning(session.crew, _outcome(session, reporter, "running"), facts)
    if found and found.unrecorded:
        session.catch_up(found.unrecorded)


def _threads(session: TrainingSession) -> str:
    """Of a training in parts, which may have fewer of them than there are cores."""
    if session.experiment.training.shards == 1:
        return ""
    return f", operations shared by {torch.get_num_threads()} of {cores()} cores"


def _work(
    session: TrainingSession,
    reporter: Reporter,
    registry: Registry,
    interruption: Interruption,
) -> Outcome:
    """Train, and evaluate what was completed."""
    store = reporter.store
    status = session.train(interruption)
    if status != "completed":
        reporter.finished(status, session.latest, session.seconds)
        return tell_end(session.crew, _outcome(session, reporter, status))
    row, settings = store.run(reporter.run.id), session.experiment.evaluation
    try:
        settings = as_many_as_there_are(store, row, settings)
        opened = session.sources[settings.split]
        with interruption.at_once():
            new, records = final_test(
                *(row, registry, store, settings, reporter.advanced, opened),
                session.crew,
            )
    except KeyboardInterrupt as interrupted:
        session.crew.fail(interrupted)
        logger.warning("only the test is left to do: metapipe resume %d", row.id)
        reporter.finished("interrupted", session.latest, session.seconds)
        return _outcome(session, reporter, "interrupted")
    figures = session.latest | _figures(new)
    number = reporter.completed(new, records, figures, session.seconds)
    test = store.evaluation(number)
    outcome = _outcome(session, reporter, "completed", figures, test)
    return tell_end(session.crew, outcome)


def _outcome(
    session: TrainingSession,
    reporter: Reporter,
    status: str,
    figures: Mapping[str, float] | None = None,
    evaluation: EvaluationRow | None = None,
) -> Outcome:
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


def _mapped(
    session: TrainingSession, store: TaskStore, row: RunRow, known: str | None
) -> Learner:
    """The learner with its task map: that known of the run, or of the run it repeats,
    or the fastest."""
    learner, experiment = session.learner, session.experiment
    if known is not None:
        return replace(learner, mapping=LocalTaskMap.parse(known))
    repeated = mapping_of_parent(row, experiment, store)
    best = mapping_for(experiment, learner, session.state, session.draw, repeated)
    chosen = replace(learner, mapping=best)
    require_exact(chosen, session.state, session.draw)
    return chosen


def _executed(
    session: TrainingSession, store: TaskStore, row: RunRow, learner: Learner
) -> Learner:
    """The learner with its execution: that known of the run, or of the run it repeats,
    or that of the settings."""
    experiment, device = session.experiment, learner.device
    known = execution_of(row, device) or execution_of_parent(
        row, experiment, store, device
    )
    return learner.executed_by(
        known or execution_for(experiment, learner, session.state, session.draw)
    )


def _figures(evaluation: NewEvaluation) -> dict[str, float]:
    """The figures of the final evaluation, by the names the run keeps them under."""
    split = evaluation.split
    figures = {f"{split}_loss": evaluation.loss}
    if evaluation.accuracy is not None and evaluation.accuracy_ci95 is not None:
        figures[f"{split}_accuracy"] = evaluation.accuracy
        figures[f"{split}_accuracy_ci95"] = evaluation.accuracy_ci95
    return figures
