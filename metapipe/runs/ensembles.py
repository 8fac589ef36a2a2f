"""The checkpoints that an evaluation judges: one, or the mean of the best few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..algorithm import Meta
from ..errors import CheckpointError, SettingError
from ..experiment.experiment import Experiment
from ..numerics.task_map import LocalTaskMap
from ..settings import EvaluationSettings
from ..store import StoreReader
from ..store.checkpoint_names import ENSEMBLE, LATEST
from ..store.records import CheckpointRow, EvaluationRow, RunRow
from ..training.checkpoint import Checkpoint
from ..training.ensemble import ensemble
from ..training.learner import Learner
from .preparation import logger
from .stored_run import stored_checkpoint, trained_learner


def judged_learner(
    experiment: Experiment,
    checkpoints: Sequence[Checkpoint],
    row: RunRow,
    judged: EvaluationRow | None = None,
) -> tuple[Learner, Meta]:
    """The learner of a run, as the mean of its checkpoints; with tasks mapped as in an
    evaluation that was `judged` before."""
    opened = [trained_learner(experiment, each, row) for each in checkpoints]
    learner, meta = ensemble(opened[0][0], [meta for _, meta in opened])
    if judged is None or judged.mapping is None:
        return learner, meta
    return replace(learner, mapping=LocalTaskMap.parse(judged.mapping)), meta


def asked_checkpoints(
    store: StoreReader, row: RunRow, settings: EvaluationSettings
) -> list[Checkpoint]:
    """Those that evaluation settings ask for, the best first. Raises SettingError if a
    run does not keep so many."""
    if settings.ensemble == 1:
        return [stored_checkpoint(store, row, settings.checkpoint)]
    kept = _best(store, row)[: settings.ensemble]
    if len(kept) < settings.ensemble:
        raise SettingError(
            f"evaluation.ensemble = {settings.ensemble}: run {row.id} keeps "
            f"{len(kept)} of its best checkpoints; take as many, or train with "
            f"-s training.keep_best={settings.ensemble}"
        )
    return [stored_checkpoint(store, row, each.which) for each in kept]


def as_many_as_there_are(
    store: StoreReader, row: RunRow, settings: EvaluationSettings
) -> EvaluationSettings:
    """The same settings for a run that ended before it had validated so often."""
    kept = max(1, len(_best(store, row)))
    if settings.ensemble <= kept:
        return settings
    logger.warning(
        "evaluation.ensemble = %d: run %d was validated %d times only, and the mean is "
        "of so many",
        *(settings.ensemble, row.id, kept),
    )
    return settings.model_copy(update={"ensemble": kept})


def recorded(checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
    """What is kept of an ensemble with its evaluation."""
    if len(checkpoints) == 1:
        return {}
    return {ENSEMBLE: [each.step for each in checkpoints]}


def judged_checkpoints(
    store: StoreReader, row: RunRow, judged: EvaluationRow
) -> dict[str, Checkpoint]:
    """Those that an evaluation judged, by their names. Raises CheckpointError if one is
    kept no more."""
    found = judged_rows(store, row, judged)
    if not found:
        raise CheckpointError(
            f"the parameters of step {judged.step}, of which evaluation {judged.id} "
            f"is, are kept no more: make another with metapipe evaluate {row.id}"
        )
    return {each.which: stored_checkpoint(store, row, each.which) for each in found}


def judged_rows(
    store: StoreReader, row: RunRow, judged: EvaluationRow
) -> list[CheckpointRow]:
    """Where they are; empty if one is kept no more. Validations tell a step, tests the
    hash too, ensembles the steps."""
    steps = judged.settings.get(ENSEMBLE) or [judged.step]
    kept = {each.step: each for each in reversed(store.checkpoints(row.id))}
    found = [kept[step] for step in steps if step in kept]
    if len(found) < len(steps):
        return []
    return found if judged.checkpoint in (None, found[0].sha256) else []


def _best(store: StoreReader, row: RunRow) -> list[CheckpointRow]:
    return [each for each in store.checkpoints(row.id) if each.which != LATEST]
