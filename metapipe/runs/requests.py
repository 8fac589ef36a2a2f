"""What a user asks of a workspace, by a command or from Python: settings are pairs of
dotted names and values, and `source` tells where they were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ..errors import SettingError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.given import COMMAND_LINE
from ..experiment.options import Pairs, by_table
from ..experiment.resolve import Resolved, plugin_settings, resolve
from ..experiment.setting_errors import first_error
from ..experiment.written import typed
from ..numerics.threads import computing_with
from ..settings import EvaluationSettings
from ..store.records import EvaluationRow, RunRow
from ..training.crew import Crew
from . import examination, pipeline, verification
from .evaluations import Advanced, untold
from .following import follow
from .forecast import Forecast
from .forecast import forecast as forecast_of
from .joining import Place, joined
from .labels import Labels
from .observing import check_observers
from .outcome import Outcome
from .preparation import check_dropout, check_trainable
from .relaunch import go_on, run_of_job
from .shared_test import follow_evaluation, tell_evaluation
from .start import Start, by_number, prepared_from, start_of
from .stored_run import trained_run
from .threads import threads_for
from .verification import Verification
from .workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """What would be trained, which run it repeats, and what it begins with."""

    resolved: Resolved
    parent: int | None
    start: Start | None = None


def plan(
    workspace: Workspace,
    asked: Pairs,
    from_run: int | str | None = None,
    source: str = COMMAND_LINE,
) -> Plan:
    """The experiment that all settings together make, or that of a run with changes.

    Raises DataError if files or lists that the data set needs are not there.
    """
    parent = None if from_run is None else workspace.store.run(from_run)
    if parent is not None and parent.backbone is not None:
        raise UsageError(
            f"run {parent.id} is a task that {parent.backbone} learned: nothing was "
            "trained that could be repeated"
        )
    base = None if parent is None else parent.config
    resolved = resolve(workspace.project, workspace.registry, asked, base, source)
    repeated = None if parent is None else parent.id
    experiment = resolved.experiment
    experiment.dataset.check()
    check_observers(experiment, workspace.registry)
    if experiment.run.start_from is None:
        return Plan(resolved, repeated)
    experiment = by_number(workspace.store, experiment)
    # What is repeated with another start than its own begins anew.
    same = parent is not None and _start(parent) == experiment.run.start_from
    start = start_of(workspace.store, experiment, parent if same else None)
    return Plan(replace(resolved, experiment=experiment), repeated, start)


def forecast(
    workspace: Workspace, asked: Pairs, from_run: int | str | None = None
) -> tuple[Resolved, Forecast]:
    """What those settings make, and how much memory its training will take. What would
    be refused is refused."""
    planned = plan(workspace, asked, from_run)
    experiment, parent = planned.resolved.experiment, planned.parent
    repeated = None if parent is None else workspace.store.run(parent)
    with computing_with(threads_for(experiment, repeated)):
        prepared = prepared_from(experiment, planned.start, registry=workspace.registry)
        check_dropout(experiment, prepared.learner.network)
        check_trainable(prepared)
        return planned.resolved, forecast_of(prepared)


def _start(row: RunRow) -> str | None:
    begun = row.config["run"].get("start_from")
    return None if begun is None else str(begun)


def train(
    workspace: Workspace,
    asked: Pairs,
    from_run: int | str | None = None,
    tags: Sequence[str] = (),
    note: str | None = None,
    source: str = COMMAND_LINE,
    observers: Sequence[object] = (),
) -> Outcome:
    """Train by that plan, then evaluate; see `metapipe.runs.pipeline.train`. Where a
    launcher started several processes, they do it together; and where their job has a
    run of the same plan that did not end, they go on with that."""
    place = Place.here()
    with joined(place, workspace.project.processes.wait) as crew:
        if crew.rank:
            return follow(crew, workspace.registry)
        planned = plan(workspace, asked, from_run, source)
        experiment, store = planned.resolved.experiment, workspace.new_store
        earlier = run_of_job(store, place, experiment)
        if earlier is not None:
            return go_on(earlier, workspace.registry, store, place, crew, observers)
        return pipeline.train(
            experiment,
            workspace.registry,
            store,
            workspace.project.directory,
            origins=planned.resolved.origins,
            parent=planned.parent,
            start=planned.start,
            observers=observers,
            labels=Labels(tuple(tags), note),
            crew=crew,
            place=place,
        )


def resume(
    workspace: Workspace,
    run: int | str,
    iterations: int | None = None,
    minutes: float | None = None,
    observers: Sequence[object] = (),
) -> Outcome:
    """Go on with a run that did not complete, or with any run to another end; together
    with other processes, where a launcher started several."""
    place = Place.here()
    with joined(place, workspace.project.processes.wait) as crew:
        if crew.rank:
            return follow(crew, workspace.registry)
        store, registry = workspace.store, workspace.registry
        row = store.run(run)
        if place.restarts and place.saw_end(row.finished):
            return go_on(row, registry, store, place, crew, observers)
        return pipeline.resume(
            row.id,
            registry,
            store,
            observers=observers,
            iterations=iterations,
            minutes=minutes,
            crew=crew,
        )


def verify(
    workspace: Workspace,
    run: int | str,
    iterations: int | None = None,
    evaluation: bool = False,
) -> Verification:
    """Do a run again and compare; see `metapipe.runs.verification.verify`."""
    store = workspace.store
    row = trained_run(store, run)
    return verification.verify(
        row.id, workspace.registry, store, first=iterations, evaluation=evaluation
    )


def evaluate(
    workspace: Workspace,
    run: int | str,
    options: Pairs,
    settings: Pairs,
    dataset: str | None = None,
    source: str = COMMAND_LINE,
    *,
    advanced: Advanced = untold,
) -> EvaluationRow:
    """Evaluate a run; what `options` do not say is as in its own experiment. Where a
    launcher started several processes, they share it.

    `settings` change its algorithm or the data set for this evaluation. Another
    `dataset` than the run's own has the settings that the project gives it. `advanced`
    is told how far it is.
    """
    with joined(Place.here(), workspace.project.processes.wait) as crew:
        if crew.rank:
            return follow_evaluation(crew, workspace.registry)
        asked = (options, settings, dataset, source)
        return tell_evaluation(crew, _evaluated(workspace, run, *asked, advanced, crew))


def _evaluated(
    workspace: Workspace,
    run: int | str,
    options: Pairs,
    settings: Pairs,
    dataset: str | None,
    source: str,
    advanced: Advanced,
    crew: Crew,
) -> EvaluationRow:
    store, registry = workspace.store, workspace.registry
    row = trained_run(store, run)
    experiment = Experiment.recorded(row.config, row.plugins, registry)
    changes = by_table(settings, ("dataset", "algorithm"), "an evaluation")
    own, name = experiment.run, dataset or experiment.run.dataset
    of_data = typed("dataset", changes["dataset"], registry.entry("dataset", name).cls)
    of_algorithm = typed(
        "algorithm",
        changes["algorithm"],
        registry.entry("algorithm", own.algorithm).cls,
    )
    kept: dict[str, Any] = {}
    origins = {f"dataset.{field}": source for field in of_data}
    if name == own.dataset:
        kept = experiment.dataset.model_dump()
    else:
        asked = [(f"dataset.{field}", value) for field, value in of_data.items()]
        of_data, origins = plugin_settings(
            workspace.project, registry, "dataset", name, asked, source
        )
    return examination.evaluate(
        row.id,
        registry,
        store,
        changed(experiment.evaluation, options, source),
        examination.Changes(
            dataset=registry.create("dataset", name, {**kept, **of_data}, origins),
            dataset_name=name,
            dataset_settings=of_data,
            algorithm=of_algorithm,
        ),
        advanced,
        crew,
    )


def changed(
    settings: EvaluationSettings, options: Pairs, source: str
) -> EvaluationSettings:
    """Settings of an evaluation with those that were given. Raises SettingError."""
    values: Mapping[str, Any] = {name.partition(".")[2]: v for name, v in options}
    try:
        return EvaluationSettings.model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        origins = {name: source for name, _ in options}
        message = first_error(error, EvaluationSettings, "evaluation", origins)
        raise SettingError(message) from error
