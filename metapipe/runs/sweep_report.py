"""What came of a search: its trials, the best of them, and which settings mattered."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..store import TaskStore
from .study import PLAN
from .study_storage import load, require_optuna, storage, understood

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


@dataclass(frozen=True)
class TrialRow:
    """A trial of a search."""

    number: int
    status: str
    """completed, stopped (early, by the search), failed, running, lost (its worker
    died, and another takes it up), or waiting."""

    run: int | None
    """Its run, once there is one."""

    value: float | None
    """The best of its validations, of a completed one; of others, the latest."""

    step: int | None
    """Of the latest validation."""

    settings: Mapping[str, Any]
    """What was tried."""


@dataclass(frozen=True)
class SweepReport:
    """A search, as it stands."""

    name: str
    metric: str
    direction: str
    trials: tuple[TrialRow, ...]
    importance: Mapping[str, float]
    """How much of the variance of the figure is each setting's, from 0 to 1 (functional
    ANOVA, Hutter et al., ICML 2014); empty for fewer than four completed trials, or
    where all came out alike."""

    @property
    def counts(self) -> dict[str, int]:
        """Trials by status."""
        return dict(Counter(trial.status for trial in self.trials))

    @property
    def best(self) -> TrialRow | None:
        """The completed trial with the best figure."""
        return next(iter(self.ranked), None)

    @property
    def ranked(self) -> list[TrialRow]:
        """The completed trials, the best first."""
        done = [t for t in self.trials if t.status == "completed"]
        sign = 1 if self.direction == "minimize" else -1
        return sorted(done, key=lambda trial: (sign * (trial.value or 0), trial.number))


def report(name: str, store: TaskStore, url: str) -> SweepReport:
    """A search, as it stands. Raises NotFoundError if there is none of that name."""
    study = load(name, store, url)
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


def names(store: TaskStore, url: str) -> list[str]:
    """The searches of a store."""
    optuna = require_optuna()
    with understood(store):
        return sorted(optuna.get_all_study_names(storage(url)))


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
