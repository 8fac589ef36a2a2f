"""MLflow: a run of a server, or of files, for each run.

It is found again by its tag `metapipe.run`, so a run that is resumed goes on in it; a
figure that MLflow has already for a step is not told again. User and password of a
server are MLflow's own: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, final
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from metapipe import Observer, Register, RunInfo, hookimpl
from metapipe_plugins.parts.tracking import Tracking, require, title

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {"completed": "FINISHED", "failed": "FAILED"}
"""MLflow's words; what was interrupted or stopped is KILLED."""

USUAL = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
"""What we set of MLflow, unless the user has: it tells its makers nothing, and a server
that is gone holds up a training for a quarter of a minute, not for four."""

BATCH = 100
"""Parameters that MLflow takes at a time."""

LONGEST = 500
"""Characters of a parameter that every version of MLflow takes."""


@final
class MLflow(Observer):
    """Figures, settings and checkpoints of a run, as an MLflow run."""

    install: ClassVar[str] = "pip install 'metapipe[mlflow]'"

    uri: str | None = None
    """Address of the server or database; MLFLOW_TRACKING_URI, or what MLflow takes
    without one, if not given."""

    experiment: str = Field(default="metapipe", min_length=1)
    """MLflow's experiment, made if it is not there."""

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and urlsplit(uri).password:
            raise ValueError(
                "has a password, and settings are kept with the run: give it by "
                "MLFLOW_TRACKING_PASSWORD, or the whole address by MLFLOW_TRACKING_URI"
            )
        return uri

    def check(self) -> None:
        """Raises DataError if MLflow is not installed."""
        require("mlflow", self.install)

    def listener(self) -> object:
        """What tells MLflow of one run."""
        return _Run(self)


class _Run(Tracking):
    """One run, as MLflow has it."""

    client: MlflowClient
    id: str

    def __init__(self, settings: MLflow) -> None:
        self._settings = settings
        self._goes_on = False
        self._last: dict[str, int] = {}

    def begin(self, run: RunInfo) -> None:
        """The MLflow run of this run, or a new one."""
        for name, value in USUAL.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=self._settings.uri)
        name = self._settings.experiment
        known = self.client.get_experiment_by_name(name)
        place = known.experiment_id if known else self.client.create_experiment(name)
        same = f"tags.`metapipe.run` = '{run.identity}'"
        found = self.client.search_runs([place], same)
        self._goes_on = bool(found)
        if found:
            self.id = found[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
        else:
            self.id = self._new(run, place)

    def _new(self, run: RunInfo, place: str) -> str:
        from mlflow.entities import Param

        tags = {"metapipe.run": run.identity, "metapipe.tags": ", ".join(run.tags)}
        if run.note:
            tags["mlflow.note.content"] = run.note
        made = self.client.create_run(place, run_name=title(run), tags=tags)
        number: str = made.info.run_id
        settings = [Param(k, str(v)[:LONGEST]) for k, v in run.settings.items()]
        for first in range(0, len(settings), BATCH):
            self.client.log_batch(number, params=settings[first : first + BATCH])
        return number

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics, but for those that it has."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        new = [
            Metric(name, value, now, step)
            for name, value in values.items()
            if step > self._known(name)
        ]
        if new:
            self.client.log_batch(self.id, metrics=new)

    def _known(self, name: str) -> int:
        """The last step of a figure that MLflow had when this process began."""
        if not self._goes_on:
            return -1
        if name not in self._last:
            history = self.client.get_metric_history(self.id, name)
            self._last[name] = max((metric.step for metric in history), default=-1)
        return self._last[name]

    def know(self, name: str, text: str) -> None:
        """A tag."""
        self.client.set_tag(self.id, f"metapipe.{name}", text)

    def end(self, status: str) -> None:
        """Its status, in MLflow's words and in ours."""
        self.know("status", status)
        self.client.set_terminated(self.id, STATUS.get(status, "KILLED"))


@hookimpl
def register_observers(register: Register) -> None:
    """Offer it."""
    register("mlflow", MLflow)
