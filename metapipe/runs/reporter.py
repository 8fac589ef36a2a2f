"""A run while it lasts: what writes to its store, tells its observers and notices
signals.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pluggy
from torch import nn

from ..errors import ClaimError
from ..events import CheckpointInfo, EpisodeRecord, RunInfo
from ..store import TaskStore
from ..store.records import NewEvaluation
from ..training.checkpoint import save
from ..training.loop import TrainingState

logger = logging.getLogger("metapipe")


@dataclass
class Reporter:
    """Writes what happens in a run to the store, and tells the plugins."""

    run: RunInfo
    store: TaskStore
    observers: pluggy.PluginManager
    """The plugins, and what `train` was handed."""

    stops: str | None = None
    """Why an observer wants the run to stop, once one does."""

    _faults: set[str] = field(default_factory=set)

    def started(self) -> None:
        """The run begins or goes on."""
        self._tell("run_started")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures of a meta-iteration."""
        self.store.record_metrics(self.run.id, step, metrics)
        self.store.update_run(self.run.id, step=step)
        self._tell("step_recorded", step=step, metrics=metrics)
        reason = self._tell("stop_run", step=step, metrics=metrics)
        self.stops = self.stops or reason or None

    def episodes(self, records: Sequence[EpisodeRecord]) -> None:
        """Write training episodes, and tell of them."""
        if records:
            self.store.record_episodes(self.run.id, records)
            self._tell("episodes_recorded", episodes=records)

    def evaluated(
        self, evaluation: NewEvaluation, records: Sequence[EpisodeRecord]
    ) -> int:
        """A validation or the final test with its episodes; returns its id."""
        number = self.store.record_evaluation(self.run.id, evaluation, records)
        self._tell("episodes_recorded", episodes=records)
        return number

    def checkpoint(
        self,
        which: Literal["latest", "best"],
        state: TrainingState,
        network: nn.Module,
        extra: Mapping[str, Any],
    ) -> CheckpointInfo:
        """Write a checkpoint, then its row, then remove the file it replaces."""
        self.store.heartbeat(self.run.id)  # the file may have the name of another's
        path = self.run.directory / f"{which}-{state.step:08d}.safetensors"
        sha256 = save(path, state, network, extra)
        size = path.stat().st_size
        info = CheckpointInfo(path, sha256, size, state.step, which)
        replaced = self.store.save_checkpoint(self.run.id, info)
        if replaced is not None:
            replaced.unlink(missing_ok=True)
        self._tell("checkpoint_saved", checkpoint=info)
        return info

    def finished(
        self,
        status: Literal["completed", "interrupted", "stopped"],
        metrics: Mapping[str, float],
        seconds: float,
    ) -> None:
        """The run ended well, or was asked to stop."""
        reason = self.stops if status == "stopped" else None
        self.store.finish_run(
            self.run.id, status, reason=reason, metrics=metrics, train_seconds=seconds
        )
        self._tell("run_finished", status=status, metrics=metrics)

    def failed(self, error: BaseException) -> None:
        """The run ended by an error, or goes on without this process."""
        if not isinstance(error, ClaimError):
            text = str(error) or type(error).__name__
            self.store.finish_run(self.run.id, "failed", error=text)
        self._tell("run_failed", error=error)

    def _tell(self, hook: str, **what: Any) -> Any:
        """Call a hook; an observer that breaks is reported once and costs no run."""
        try:
            return getattr(self.observers.hook, hook)(run=self.run, **what)
        except Exception as error:  # anybody's code
            fault = f"{hook}: {type(error).__name__}: {error}"
            if fault not in self._faults:
                self._faults.add(fault)
                logger.warning("a plugin failed while observing the run: %s", fault)
