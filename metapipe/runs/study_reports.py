"""Reports on the searches of a store, read from Optuna's tables and ours."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..store import TaskStore
from .study_storage import PLAN, load, load_all, understood
from .sweep_report import SweepReport, TrialRow

if TYPE_CHECKING:
    import optuna

STATES = {
    "COMPLETE": "completed",
    "PRUNED": "stopped",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""Optuna's words for the state of a trial, and ours."""

ENOUGH = 4
"""Completed trials from which the importance of settings is reckoned."""


def report(
    name: str, store: TaskStore, url: str, png: Path | None = None
) -> SweepReport:
    """A search, as it stands, drawn into `png`. Raises NotFoundError if there is none
    of that name."""
    whole = _report(load(name, store, url), store)
    if png is not None:
        from .sweep_picture import draw  # with matplotlib, for a picture only

        draw(whole, png)
    return whole


def reports(store: TaskStore, url: str) -> list[SweepReport]:
    """All searches of a store."""
    return [_report(study, store) for study in load_all(store, url)]


def _report(study: optuna.Study, store: TaskStore) -> SweepReport:
    name = study.study_name
    with understood(store):
        kept = json.loads(study.user_attrs[PLAN])
        runs = store.trials(name)
        found = study.get_trials(deepcopy=False)
        trials = tuple(_row(trial, runs.get(trial.number)) for trial in found)
        importance = _importance(study, trials)
    return SweepReport(
        name=name,
        metric=kept["metric"],
        direction=study.direction.name.lower(),
        trials=trials,
        importance=importance,
    )


def _row(trial: optuna.trial.FrozenTrial, run: tuple[int, str] | None) -> TrialRow:
    status = STATES[trial.state.name]
    if status == "running" and run is not None and run[1] != "running":
        status = run[1]  # lost, or interrupted: another worker takes it up
    step = max(trial.intermediate_values, default=None)
    latest = None if step is None else trial.intermediate_values[step]
    return TrialRow(
        number=trial.number,
        status=status,
        run=None if run is None else run[0],
        value=trial.value if status == "completed" else latest,
        step=step,
        settings=trial.params,
    )


def _importance(study: optuna.Study, trials: tuple[TrialRow, ...]) -> dict[str, float]:
    from optuna.importance import get_param_importances

    done = [t for t in trials if t.status == "completed"]
    if len(done) < ENOUGH or len({t.value for t in done}) == 1:
        return {}
    with warnings.catch_warnings(action="ignore"):
        return get_param_importances(study)
