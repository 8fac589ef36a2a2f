"""What a user asks of a workspace, by a command or from Python: settings are pairs of
dotted names and values, and `source` tells where they were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..errors import SettingError, UsageError
from ..experiment.experiment import Experiment
from ..experiment.options import Pairs, by_table
from ..experiment.resolve import COMMAND_LINE, Resolved, plugin_settings, resolve
from ..experiment.setting_errors import first_error
from ..settings import EvaluationSettings
from ..store.records import EvaluationRow
from . import examination, pipeline, verification
from .pipeline import Outcome
from .stored_run import trained_run
from .verification import Verification
from .workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """What would be trained, and which run it repeats."""

    resolved: Resolved
    parent: int | None


def plan(
    workspace: Workspace,
    asked: Pairs,
    from_run: int | str | None = None,
    source: str = COMMAND_LINE,
) -> Plan:
    """The experiment that all settings together make, or that of a run with changes."""
    parent = None if from_run is None else workspace.store.run(from_run)
    if parent is not None and parent.backbone is not None:
        raise UsageError(
            f"run {parent.id} is a task that {parent.backbone} learned: nothing was "
            "trained that could be repeated"
        )
    base = None if parent is None else parent.config
    resolved = resolve(workspace.project, workspace.registry, asked, base, source)
    return Plan(resolved, None if parent is None else parent.id)


def train(
    workspace: Workspace,
    asked: Pairs,
    from_run: int | str | None = None,
    source: str = COMMAND_LINE,
    observers: Sequence[object] = (),
) -> Outcome:
    """Train by that plan, then evaluate; see `metapipe.runs.pipeline.train`."""
    planned = plan(workspace, asked, from_run, source)
    return pipeline.train(
        planned.resolved.experiment,
        workspace.registry,
        workspace.new_store,
        workspace.project.directory,
        origins=planned.resolved.origins,
        parent=planned.parent,
        observers=observers,
    )


def resume(
    workspace: Workspace, run: int | str, observers: Sequence[object] = ()
) -> Outcome:
    """Go on with a run that did not complete."""
    store = workspace.store
    return pipeline.resume(
        store.run(run).id, workspace.registry, store, observers=observers
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
) -> EvaluationRow:
    """Evaluate a run; what `options` do not say is as in its own experiment.

    `settings` change its algorithm or the data set for this evaluation. Another
    `dataset` than the run's own has the settings that the project gives it.
    """
    store, registry = workspace.store, workspace.registry
    row = trained_run(store, run)
    experiment = Experiment.from_dict(row.config, registry)
    changes = by_table(settings, ("dataset", "algorithm"), "an evaluation")
    name, of_data = dataset or experiment.run.dataset, changes["dataset"]
    kept: dict[str, Any] = {}
    origins = {f"dataset.{field}": source for field in of_data}
    if name == experiment.run.dataset:
        kept = experiment.dataset.model_dump()
    else:
        asked = [(f"dataset.{field}", value) for field, value in of_data.items()]
        of_data, origins = plugin_settings(
            workspace.project, "dataset", name, asked, source
        )
    return examination.evaluate(
        row.id,
        registry,
        store,
        _changed(experiment.evaluation, options, source),
        examination.Changes(
            dataset=registry.create("dataset", name, {**kept, **of_data}, origins),
            dataset_name=name,
            dataset_settings=of_data,
            algorithm=changes["algorithm"],
        ),
    )


def _changed(
    settings: EvaluationSettings, options: Pairs, source: str
) -> EvaluationSettings:
    values: Mapping[str, Any] = {name.partition(".")[2]: v for name, v in options}
    try:
        return EvaluationSettings.model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        origins = {name: source for name, _ in options}
        message = first_error(error, EvaluationSettings, "evaluation", origins)
        raise SettingError(message) from error
