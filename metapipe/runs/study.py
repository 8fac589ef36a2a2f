"""A search over settings as Optuna keeps it, in the database of our store.

Optuna (Akiba et al., KDD 2019) chooses the settings of a trial and judges whether to go
on with it; who works at which trial is ours to say, since our runs can be resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UsageError
from ..experiment.space import Space, places
from ..experiment.sweep_settings import MINIMISED, SweepSettings
from ..store import TaskStore
from ..store.liveness import LOST_AFTER, lives
from .parameters import distributions, parameters, pruner, sampler, values
from .provenance import host
from .study_storage import LOCK, PLAN, require_optuna, storage, understood

if TYPE_CHECKING:
    import optuna

WORKER = "worker"
"""What we keep with a trial."""

UNENTERED = timedelta(hours=1)
"""After so long a trial of another machine that has no run is taken for abandoned."""

State = Literal["completed", "stopped", "failed"]


@dataclass(frozen=True)
class Plan:
    """What a search is: two workers of one study agree in it."""

    base: Mapping[str, Any]
    """The experiment that trials change, by tables."""

    space: Space
    metric: str
    settings: SweepSettings

    @property
    def direction(self) -> str:
        """Of the figure: what is called a loss is minimised."""
        return "minimize" if self.metric.endswith(MINIMISED) else "maximize"

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "base": self.base,
            "space": {name: domain.to_json() for name, domain in self.space.items()},
            "metric": self.metric,
            "sampler": self.settings.sampler,
            "pruner": self.settings.pruner,
            "seed": self.settings.seed,
        }


class Study:
    """A search, opened by one worker. Open it with `Study.open`."""

    def __init__(
        self, name: str, store: TaskStore, study: optuna.Study, plan: Plan
    ) -> None:
        self.name = name
        self._store = store
        self._study = study
        self._plan = plan

    @classmethod
    def open(cls, name: str, store: TaskStore, url: str, plan: Plan) -> Study:
        """Begin the study of that name, or take part in it.

        Raises UsageError if it was begun with another plan, StoreError.
        """
        optuna = require_optuna()
        with understood(store), store.turn(LOCK):
            study = optuna.create_study(
                storage=storage(url),
                study_name=name,
                direction=plan.direction,
                load_if_exists=True,
            )
            kept = study.user_attrs.get(PLAN)
            if kept is None:
                _require_new(name, study)
                for place in _grid(plan):
                    given = parameters(place, plan.space)
                    study.enqueue_trial(given, skip_if_exists=True)
                study.set_user_attr(PLAN, json.dumps(plan.to_json()))
            else:
                _require_same(name, json.loads(kept), plan)
        study.pruner = pruner(plan.settings)
        return cls(name, store, study, plan)

    def next(self) -> Trial | None:
        """A trial to work at: one whose worker is gone, or a new one; None if there are
        as many as there should be."""
        with understood(self._store), self._store.turn(LOCK):
            known = self._abandoned()
            trial = known[0] if known else self._new()
            if trial is None:
                return None
            worker = {"host": host(), "pid": os.getpid(), "since": _now().isoformat()}
            trial.set_user_attr(WORKER, worker)
        tried = values(trial.params, self._plan.space)
        told = known[1] if known else frozenset[int]()
        return Trial(self._store, trial, trial.number, tried, told)

    def tell(self, trial: Trial, state: State, value: float | None = None) -> None:
        """How a trial ended; told once, whoever tells first."""
        from optuna.trial import TrialState

        states = {
            "completed": TrialState.COMPLETE,
            "stopped": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        with understood(self._store):
            self._study.tell(
                trial.number, value, state=states[state], skip_if_finished=True
            )

    def _abandoned(self) -> tuple[optuna.Trial, frozenset[int]] | None:
        """A running trial that nobody works at, and at which steps it was heard of."""
        from optuna.trial import Trial as LiveTrial
        from optuna.trial import TrialState

        runs = self._store.trials(self.name)
        for trial in self._study.get_trials(False, (TrialState.RUNNING,)):
            status = runs.get(trial.number, (0, None))[1]
            if _is_abandoned(trial.user_attrs.get(WORKER), status, trial):
                steps = frozenset(trial.intermediate_values)
                return LiveTrial(self._study, trial._trial_id), steps
        return None

    def _new(self) -> optuna.Trial | None:
        """The next, with settings that the sampler chose."""
        from optuna.trial import TrialState

        trials = self._study.get_trials(deepcopy=False)
        begun = [t for t in trials if t.state != TrialState.WAITING]
        wanted = self._plan.settings.trials
        if self._plan.settings.sampler == "grid":
            wanted = min(wanted, len(trials))
        if len(begun) >= wanted:
            return None
        seed = self._plan.settings.seed + len(begun)
        self._study.sampler = sampler(self._plan.settings, seed)
        return self._study.ask(distributions(self._plan.space))


@dataclass(frozen=True)
class Trial:
    """One trial that this process works at."""

    store: TaskStore
    found: optuna.Trial
    number: int
    values: Mapping[str, Any]
    """Of the settings that are tried."""

    told: frozenset[int] = frozenset()
    """Steps whose validations were told, by a process that died."""

    def report(self, value: float, step: int) -> bool:
        """Tell a validation; returns whether to stop."""
        with understood(self.store):
            if step not in self.told:
                self.found.report(value, step)
            return bool(self.found.should_prune())


def _grid(plan: Plan) -> Sequence[Mapping[str, Any]]:
    return places(plan.space) if plan.settings.sampler == "grid" else ()


def _require_new(name: str, study: optuna.Study) -> None:
    """Refuse a study that another program of Optuna's has begun."""
    if any(t.state.name != "WAITING" for t in study.get_trials(deepcopy=False)):
        raise UsageError(
            f"'{name}' is a study of another program in this database: give the sweep "
            "another name"
        )


def _require_same(name: str, kept: Mapping[str, Any], plan: Plan) -> None:
    before, now = _flat(kept), _flat(json.loads(json.dumps(plan.to_json())))
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise UsageError(
                f"sweep '{name}' was begun with {key.removeprefix('base.')} = "
                f"{before.get(key)!r}, and now it is {now.get(key)!r}: give the same, "
                "or the sweep another name"
            )


def _flat(document: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(document, dict):
        return {name: document}
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= _flat(value, f"{name}.{key}" if name else key)
    return found


def _is_abandoned(
    worker: Mapping[str, Any] | None, status: str | None, trial: Any
) -> bool:
    """Whether nobody works at a trial: its process is gone, or where it is another
    machine's, its run is silent."""
    since: datetime = trial.datetime_start.astimezone(UTC)
    if worker is not None:
        since = datetime.fromisoformat(worker["since"])
        if worker["host"] == host() and worker["pid"] == os.getpid():
            return status != "running"  # we are asking, and so at none
        if worker["host"] == host():
            pid: int = worker["pid"]
            return not lives(pid, since)
    if status is None:
        return _now() - since > UNENTERED
    return status != "running" and _now() - since > LOST_AFTER


def _now() -> datetime:
    return datetime.now(UTC)
