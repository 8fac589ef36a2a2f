"""A search over settings: what one worker does.

Any number of workers take part in a search, on any number of machines that share the
store. Each trial is a run like any other, with the search and its number in its row. A
trial whose worker died is taken over by another, which resumes its run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from ..dataset import Dataset
from ..errors import SettingError, StoreError, TrainingError, UsageError
from ..events import RunInfo
from ..experiment.given import COMMAND_LINE
from ..experiment.options import Pairs
from ..experiment.resolve import resolve
from ..experiment.space import places, read_space
from ..hookspecs import hookimpl
from ..printable import printable
from ..store import TaskStore
from . import pipeline
from .study import Plan, State, Study, Trial
from .study_reports import report
from .sweep_report import SweepReport
from .sweep_workers import together
from .workspace import Workspace

INTERRUPTED = 130
LONGEST_NAME = 100
PRUNED = "pruned: "
"""How the reason begins for which a trial is stopped early."""

FAILURES = 3
"""After so many failed trials one after the other a worker gives up."""


@dataclass(frozen=True)
class TrialEnd:
    """How a trial of this worker ended."""

    number: int
    run_id: int | None
    state: State
    value: float | None
    values: Mapping[str, Any]
    """Of the settings that were tried."""

    error: str | None = None


@dataclass(frozen=True)
class Work:
    """What a worker did."""

    trials: tuple[TrialEnd, ...]
    interrupted: bool = False


class Pruning:
    """Stops a run that the search has no more hope for: an observer like any other."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric

    @hookimpl
    def stop_run(
        self, run: RunInfo, step: int, metrics: Mapping[str, float]
    ) -> str | None:
        """A reason to stop, after a validation."""
        value = metrics.get(self._metric)
        if value is None or not self._trial.report(value, step):
            return None
        return f"{PRUNED}{self._metric} {value:.4g} is below the median of the sweep"


def plan(
    workspace: Workspace,
    asked: Pairs,
    changes: Mapping[str, Any],
    source: str = COMMAND_LINE,
) -> Plan:
    """What is searched: `[sweep]` of the project with `changes`, on the experiment that
    all settings together make.

    Raises SettingError for what cannot be searched.
    """
    project, registry = workspace.project, workspace.registry
    settings = project.sweep.changed(changes, source)
    experiment = resolve(project, registry, asked, source=source).experiment
    space = read_space(settings.space, registry, experiment.chosen)
    if any(name == "run.name" for name, _ in asked):
        raise SettingError(
            f"run.name is given ({source}): the runs of a sweep are called by its name "
            "and their numbers"
        )
    if clash := next((name for name, _ in asked if name in space), None):
        raise SettingError(
            f"{clash} is given ({source}) and searched (sweep.space): leave out one"
        )
    if experiment.training.validate_every == 0:
        raise SettingError(
            "a sweep chooses by validation: training.validate_every = 0 asks for none"
        )
    if settings.sampler == "grid":
        places(space)
    base = {
        table: {k: v for k, v in values.items() if f"{table}.{k}" not in space}
        for table, values in experiment.unobserved().to_dict().items()
    }
    metric = settings.metric or _usual_metric(experiment.dataset)
    return Plan(base, space, metric, settings)


@dataclass(frozen=True)
class Search:
    """What came of working at a search."""

    report: SweepReport | None
    """How it stands now; None if workers failed."""

    code: int
    """0, 130 if it was interrupted, or with which exit code a worker failed."""


def search(
    workspace: Workspace,
    name: str,
    asked: Pairs,
    changes: Mapping[str, Any],
    source: str = COMMAND_LINE,
    observers: Sequence[Callable[[], object]] = (),
    tell: Callable[[TrialEnd], None] = lambda _: None,
    apart: tuple[int, Sequence[str]] | None = None,
) -> Search:
    """Work at a search to its end, and see how it stands; see `work`. With `apart`, so
    many processes do, each by that command."""
    if apart is None:
        done = work(workspace, name, asked, changes, source, observers, tell)
        code = INTERRUPTED if done.interrupted else 0
    else:
        code = together(*apart)
    if code not in (0, INTERRUPTED):
        return Search(None, code)
    return Search(report(name, workspace.store, workspace.url), code)


def work(
    workspace: Workspace,
    name: str,
    asked: Pairs,
    changes: Mapping[str, Any],
    source: str = COMMAND_LINE,
    observers: Sequence[Callable[[], object]] = (),
    tell: Callable[[TrialEnd], None] = lambda _: None,
) -> Work:
    """Work at the search of that name until it has its trials.

    `observers` make those of a run, and `tell` hears of each trial that ended. Raises
    UsageError if the search was begun with other settings, and the error of a trial if
    three failed one after the other.
    """
    name = checked_name(name)
    planned = plan(workspace, asked, changes, source)
    study = Study.open(name, workspace.new_store, workspace.url, planned)
    worker = _Worker(workspace, study, planned, asked, source)
    ended: list[TrialEnd] = []
    failures = 0
    while (trial := study.next()) is not None:
        try:
            end = worker.tried(trial, [make() for make in observers])
        except (StoreError, KeyboardInterrupt):
            raise  # the trial is another's to finish
        except Exception as error:  # also of anybody's plugins
            end = TrialEnd(trial.number, None, "failed", None, trial.values, str(error))
            failures += 1
            if failures == FAILURES:
                study.tell(trial, "failed")
                raise
        else:
            failures = 0
        if end is None:
            return Work(tuple(ended), interrupted=True)
        study.tell(trial, end.state, end.value)
        ended.append(end)
        tell(end)
    return Work(tuple(ended))


def checked_name(name: str) -> str:
    """The name of a search. Raises UsageError for what is none."""
    name = normalize("NFC", name.strip())
    if not name or len(name) > LONGEST_NAME or printable(name) != name:
        raise UsageError(
            f"{name[:LONGEST_NAME]!r} is no name of a sweep: use up to {LONGEST_NAME} "
            "characters, without line breaks or invisible signs"
        )
    if name.isdecimal():
        raise UsageError(f"'{name}' is no name of a sweep: a number is that of a run")
    return name


def best_validation(store: TaskStore, run_id: int, planned: Plan) -> float:
    """The best of a run's validations. Raises TrainingError if it had none."""
    values = [row.value for row in store.metrics(run_id, planned.metric)]
    if not values:
        found = sorted({row.name for row in store.metrics(run_id)})
        known = [name for name in found if name.startswith("val_")]
        raise TrainingError(
            f"run {run_id} has no validation figure '{planned.metric}' "
            f"(sweep.metric); it has {', '.join(known) or 'none'}"
        )
    return min(values) if planned.direction == "minimize" else max(values)


@dataclass(frozen=True)
class _Worker:
    workspace: Workspace
    study: Study
    plan: Plan
    asked: Pairs
    source: str

    def tried(self, trial: Trial, observers: Sequence[object]) -> TrialEnd | None:
        """Train a trial, or go on with it; None if it was interrupted."""
        store, registry = self.workspace.new_store, self.workspace.registry
        watching = [*observers, Pruning(trial, self.plan.metric)]
        run_id, status = store.trials(self.study.name).get(trial.number, (None, None))
        if run_id is None:
            run_id = self._begun(trial, watching)
        elif status not in ("completed", "stopped"):
            pipeline.resume(run_id, registry, store, observers=watching)
        row = store.run(run_id)
        if row.status == "interrupted":
            return None
        if (row.reason or "").startswith(PRUNED):
            return TrialEnd(trial.number, run_id, "stopped", None, trial.values)
        value = best_validation(store, run_id, self.plan)
        return TrialEnd(trial.number, run_id, "completed", value, trial.values)

    def _begun(self, trial: Trial, observers: Sequence[object]) -> int:
        own = [("run.name", f"{self.study.name}-{trial.number}")]
        asked = [*self.asked, *trial.values.items(), *own]
        project, registry = self.workspace.project, self.workspace.registry
        resolved = resolve(project, registry, asked, source=self.source)
        return pipeline.train(
            resolved.experiment,
            registry,
            self.workspace.new_store,
            project.directory,
            origins=resolved.origins,
            observers=observers,
            trial=(self.study.name, trial.number),
        ).run_id


def _usual_metric(dataset: Dataset) -> str:
    """The figure that says best how a data set's tasks are learned."""
    classes = dataset.open("val").facts.kind == "classification"
    return "val_accuracy" if classes else "val_loss"
