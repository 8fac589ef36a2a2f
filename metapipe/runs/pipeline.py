"""Train, resume, evaluate: what the command line does, as functions."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..events import RunInfo
from ..experiment.experiment import Experiment
from ..experiment.registry import Registry
from ..numerics.task_map import LocalTaskMap
from ..store import TaskStore
from ..store.records import EvaluationRow, NewRun, RunRow
from ..training.checkpoint import Checkpoint, load
from ..training.exactness import require_exact
from ..training.learner import Learner
from ..training.loop import initial_state
from .examination import evaluate
from .heartbeat import heartbeat
from .mapping import mapping_for, mapping_of
from .patience import Patience
from .preparation import Prepared, check_dropout, check_trainable, prepare
from .provenance import environment, git_state, host, new_directory
from .reporter import Reporter
from .session import TrainingSession
from .signals import interruptible
from .stored_run import require_same_data

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Outcome:
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
    parent: int | None = None,
    observers: Sequence[object] = (),
) -> Outcome:
    """Run an experiment: train, then evaluate on the split its settings name.

    `observers` are objects with hook implementations, told beside the plugins.
    Everything that can be refused is refused before the run is entered in the store.
    """
    prepared = prepare(experiment)
    check_dropout(experiment, prepared.learner.network)
    check_trainable(prepared)
    directory = new_directory(project)
    commit, dirty = git_state(project)
    run_id = store.begin_run(
        NewRun(
            name=experiment.run.name,
            algorithm=experiment.run.algorithm,
            model=experiment.run.model,
            dataset=experiment.run.dataset,
            seed=experiment.run.seed,
            ways=experiment.task.ways,
            shots=experiment.task.shots,
            queries=experiment.task.queries,
            iterations=experiment.training.iterations,
            config=experiment.to_dict(),
            plugins=registry.versions(experiment.chosen),
            environment=environment(),
            git_commit=commit,
            git_dirty=dirty,
            device=prepared.learner.device,
            mapping=None,
            parent_id=parent,
            directory=str(directory),
            host=host(),
            pid=os.getpid(),
            **_facts_of_data(prepared),
        )
    )
    return _run(run_id, prepared, None, registry, store, observers)


def resume(
    run_id: int,
    registry: Registry,
    store: TaskStore,
    *,
    observers: Sequence[object] = (),
) -> Outcome:
    """Go on with a run from its latest checkpoint, or from the start if it has none."""
    row = store.run(run_id)
    if row.backbone is not None:
        raise UsageError(
            f"run {run_id} is a task that {row.backbone} learned: there is nothing to "
            "resume; adapt anew with metapipe adapt --backbone"
        )
    if row.status in ("completed", "running"):
        raise UsageError(
            f"run {run_id} is {row.status} and cannot be resumed; repeat it with "
            f"metapipe train --from-run {run_id}"
        )
    rows = {c.which: c for c in store.checkpoints(run_id)}
    latest = rows.get("latest")
    checkpoint = load(Path(latest.path), latest.sha256) if latest else None
    prepared = prepare(Experiment.from_dict(row.config, registry), checkpoint)
    require_same_data(row.fingerprint, prepared.sources["train"])
    step = checkpoint.step if checkpoint else 0
    store.reopen_run(run_id, host=host(), pid=os.getpid(), step=step)
    return _run(run_id, prepared, checkpoint, registry, store, observers)


def _run(
    run_id: int,
    prepared: Prepared,
    checkpoint: Checkpoint | None,
    registry: Registry,
    store: TaskStore,
    observers: Sequence[object],
) -> Outcome:
    """Train from `checkpoint` to the end, evaluate, and close the run's books."""
    experiment = prepared.experiment
    row = store.run(run_id)
    groups = experiment.algorithm.groups()
    state = initial_state(prepared.meta, experiment.training, groups)
    info = RunInfo(
        id=run_id,
        name=row.name,
        experiment=row.config,
        directory=Path(row.directory),
        step=checkpoint.step if checkpoint else 0,
        iterations=experiment.training.iterations,
    )
    patience = experiment.training.patience
    own = [Patience(patience)] if patience else []
    told = registry.observers([*own, *observers])
    reporter = Reporter(info, store, told)
    session = TrainingSession(
        experiment, prepared.learner, state, prepared.sources, reporter
    )
    evaluation = None
    with heartbeat(store, run_id):
        try:
            reporter.started()
            if checkpoint:
                checkpoint.restore(state)
                session.best = checkpoint.header["best"]
                session.seconds = checkpoint.header["seconds"]
            known = _known_mapping(row, experiment, store)
            session.learner = _mapped(session, checkpoint, known)
            mapping = str(session.learner.mapping)
            store.update_run(run_id, mapping=mapping)
            logger.info(
                "training on %s, tasks mapped by %s", session.learner.device, mapping
            )
            with interruptible() as interruption:
                status = session.train(interruption)
            if status == "completed":
                try:
                    evaluation = evaluate(
                        run_id,
                        registry,
                        store,
                        experiment.evaluation,
                        reporter=reporter,
                        trained=session.learner,
                    )
                except KeyboardInterrupt:
                    status = "interrupted"  # resuming has only this left to do
            figures = session.latest | _figures(evaluation)
            reporter.finished(status, figures, session.seconds)
        except KeyboardInterrupt:  # a second one, or where no signal was waited for
            reporter.finished("interrupted", session.latest, session.seconds)
            raise
        except BaseException as error:
            reporter.failed(error)
            raise
    return Outcome(
        run_id=run_id,
        status=status,
        reason=reporter.stops if status == "stopped" else None,
        step=state.step,
        metrics=figures,
        evaluation=evaluation,
        directory=info.directory,
        device=session.learner.device,
        mapping=str(session.learner.mapping),
    )


def _facts_of_data(prepared: Prepared) -> dict[str, Any]:
    """What a run needs of its data ever after: to be adapted, the data need not be
    there."""
    source = prepared.sources["train"]
    encoder = source.facts.encoder
    return {
        "fingerprint": source.facts.fingerprint,
        "problem": asdict(prepared.learner.problem),
        "encoder": None if encoder is None else encoder.model_dump(mode="json"),
    }


def _known_mapping(
    row: RunRow, experiment: Experiment, store: TaskStore
) -> LocalTaskMap | None:
    """What the run had before it was stopped, or the run that it repeats."""
    known = mapping_of(row, experiment)
    if known is not None or row.parent_id is None:
        return known
    return mapping_of(store.run(row.parent_id), experiment)


def _mapped(
    session: TrainingSession,
    checkpoint: Checkpoint | None,
    known: LocalTaskMap | None,
) -> Learner:
    """The learner with its task map: that of the checkpoint, the known one, or the
    fastest."""
    learner, experiment = session.learner, session.experiment
    if checkpoint:
        mapping = LocalTaskMap.parse(checkpoint.header["mapping"])
        return replace(learner, mapping=mapping)
    best = mapping_for(experiment, learner, session.state, session.draw, known)
    chosen = replace(learner, mapping=best)
    require_exact(chosen, session.state, session.draw)
    return chosen


def _figures(evaluation: EvaluationRow | None) -> dict[str, float]:
    """The figures of the final evaluation, by the names the run keeps them under."""
    if evaluation is None:
        return {}
    split = evaluation.split
    figures = {f"{split}_loss": evaluation.loss}
    if evaluation.accuracy is not None and evaluation.accuracy_ci95 is not None:
        figures[f"{split}_accuracy"] = evaluation.accuracy
        figures[f"{split}_accuracy_ci95"] = evaluation.accuracy_ci95
    return figures
