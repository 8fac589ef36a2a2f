"""A run while it lasts: what writes to its store, tells its observers and notices
signals.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from torch import nn

from ..errors import LONGEST, ClaimError, CrewLostError, StoreError, WriteError
from ..events import CheckpointInfo, EpisodeRecord, EvaluationInfo, RunInfo
from ..experiment.listeners import Listener
from ..printable import shortened, without_passwords
from ..store import TaskStore
from ..store.checkpoint_names import LATEST, best_name
from ..store.records import NewEvaluation
from ..training.checkpoint import save
from ..training.loop import TrainingState
from ..whole_file import whole_file
from .run_files import ERROR, checkpoint_file, is_ours, tidy

logger = logging.getLogger("metapipe")

ENDS = ("run_finished", "run_failed")
"""Hooks that say that a run is over, for now."""


@dataclass
class Reporter:
    """Writes what happens in a run to the store, and tells the plugins."""

    run: RunInfo
    store: TaskStore
    listeners: Sequence[Listener]
    """What it was handed, who it names, and the plugins that listen to every run."""

    stops: str | None = None
    """Why an observer wants the run to stop, once one does."""

    last: Path | None = None
    """The newest checkpoint that is whole."""

    writer: str = field(default_factory=lambda: token_hex(3))
    """Part of the names of its checkpoints: no other process writes to its files, and
    none of those of others is written again."""

    _broken: set[Listener] = field(default_factory=set)

    def started(self) -> None:
        """The run begins or goes on; its directory is there for whoever observes."""
        with suppress(OSError):  # the first checkpoint tells why it cannot be written
            self.run.directory.mkdir(parents=True, exist_ok=True)
        self._tell("run_started")

    def step(
        self,
        step: int,
        metrics: Mapping[str, float],
        episodes: Sequence[EpisodeRecord] = (),
    ) -> None:
        """Figures of a meta-iteration, and training episodes up to there."""
        self.store.record_metrics(self.run.id, step, metrics, episodes)
        self._tell("step_recorded", step=step, metrics=metrics)
        reason = self._tell("stop_run", step=step, metrics=metrics)
        self.stops = self.stops or reason or None
        if episodes:
            self._tell("episodes_recorded", episodes=episodes)

    def advanced(self, split: str, done: int, episodes: int) -> None:
        """So many episodes of an evaluation are judged."""
        self._tell("evaluation_advanced", split=split, done=done, episodes=episodes)

    def evaluated(
        self, evaluation: NewEvaluation, records: Sequence[EpisodeRecord]
    ) -> int:
        """A validation with its episodes; returns its id."""
        number = self.store.record_evaluation(self.run.id, evaluation, records)
        self._judged(evaluation, records)
        return number

    def checkpoint(
        self,
        state: TrainingState,
        network: nn.Module,
        extra: Mapping[str, Any],
        best: Sequence[int] = (),
    ) -> CheckpointInfo:
        """Write a checkpoint, then its row, then remove the files it replaces.

        It is the latest, or one of the best: then these are their steps, the very best
        first.
        """
        # It tells that all before it is recorded: that has to be on disk first.
        self.store.update_run(self.run.id, step=state.step)
        kind = "best" if best else LATEST
        path = checkpoint_file(self.run.directory, kind, state.step, self.writer)
        try:
            sha256 = save(path, state, network, extra)
        except WriteError as error:
            raise WriteError(
                f"{error}; 'metapipe resume {self.run.id}' goes on from "
                f"{self.last or 'the start'}"
            ) from error
        which = best_name(best.index(state.step)) if best else LATEST
        info = CheckpointInfo(path, sha256, path.stat().st_size, state.step, which)
        replaced = self.store.save_checkpoint(self.run.id, info, best)
        self.last = path
        for old in replaced:
            if is_ours(old, self.run.directory):
                old.unlink(missing_ok=True)
        self._tell("checkpoint_saved", checkpoint=info)
        return info

    def latest_step(self) -> int | None:
        """Of the latest checkpoint that the store knows of, if there is one."""
        rows = self.store.checkpoints(self.run.id)
        return next((row.step for row in rows if row.which == LATEST), None)

    def rescue(
        self, state: TrainingState, network: nn.Module, extra: Mapping[str, Any]
    ) -> None:
        """Keep a checkpoint of which the store cannot be told now."""
        path = checkpoint_file(self.run.directory, LATEST, state.step, self.writer)
        try:
            save(path, state, network, extra)
        except WriteError as error:
            logger.warning("%s", error)
            return
        logger.warning(
            "iteration %s is kept in %s: 'metapipe resume %s' goes on from there",
            *(state.step, path, self.run.id),
        )

    def completed(
        self,
        evaluation: NewEvaluation,
        records: Sequence[EpisodeRecord],
        metrics: Mapping[str, float],
        seconds: float,
    ) -> int:
        """The run ended by its test; returns that one's id."""
        number = self.store.complete_run(
            self.run.id, evaluation, records, metrics=metrics, train_seconds=seconds
        )
        self._judged(evaluation, records)
        self._ended("completed", metrics)
        return number

    def finished(
        self,
        status: Literal["interrupted", "stopped"],
        metrics: Mapping[str, float],
        seconds: float,
    ) -> None:
        """The run was asked to stop."""
        reason = self.stops if status == "stopped" else None
        self.store.finish_run(
            self.run.id, status, reason=reason, metrics=metrics, train_seconds=seconds
        )
        self._ended(status, metrics)

    def failed(self, error: BaseException) -> None:
        """The run ended by an error, or goes on without this process; where another
        process of its crew was lost, it may be started again. What the store cannot be
        told is written down beside the checkpoints."""
        if isinstance(error, StoreError):
            self.store.hurry()
        if not isinstance(error, ClaimError | CrewLostError):
            text = str(error) or type(error).__name__
            try:
                self.store.finish_run(self.run.id, "failed", error=text)
            except StoreError:
                with suppress(WriteError), whole_file(self.run.directory / ERROR) as f:
                    f.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n".encode())
        self._tell("run_failed", error=error)

    def _judged(
        self, evaluation: NewEvaluation, records: Sequence[EpisodeRecord]
    ) -> None:
        """Tell of an evaluation and its episodes."""
        self._tell("episodes_recorded", episodes=records)
        self._tell("evaluation_recorded", evaluation=_info(evaluation, len(records)))

    def _ended(self, status: str, metrics: Mapping[str, float]) -> None:
        """Nothing is to be done but to clean up and tell."""
        with suppress(StoreError):  # it is recorded: somebody else may clean up
            needed = [Path(row.path) for row in self.store.checkpoints(self.run.id)]
            tidy(self.run.directory, needed, self.store.folders)
        self._tell("run_finished", status=status, metrics=metrics)

    def _tell(self, hook: str, **what: Any) -> Any:
        """Call a hook of everybody, and take the first answer. One that breaks costs no
        run and is told of once: it hears of the end, so that it can close its books."""
        answers = []
        for listener in self.listeners:
            if listener in self._broken and hook not in ENDS:
                continue
            try:
                call = getattr(listener.hooks, hook)
                answers.append(call(run=self.run, **what))
            except Exception as error:  # anybody's code
                self._broke(listener, hook, error)
        return next(filter(None, answers), None)

    def _broke(self, listener: Listener, hook: str, error: Exception) -> None:
        if listener in self._broken:
            return
        self._broken.add(listener)
        logger.warning(
            "observer %s is told of run %d no more but its end, and the run goes on: "
            "%s raised %s: %s",
            *(listener.name, self.run.id, hook, type(error).__name__),
            shortened(without_passwords(str(error)), LONGEST),
        )


def _info(evaluation: NewEvaluation, episodes: int) -> EvaluationInfo:
    """As observers are told."""
    pairs = {
        "loss": (evaluation.loss, evaluation.loss_ci95),
        "accuracy": (evaluation.accuracy, evaluation.accuracy_ci95),
        **evaluation.figures,
    }
    figures = {
        name: (mean, ci95)
        for name, (mean, ci95) in pairs.items()
        if mean is not None and ci95 is not None
    }
    return EvaluationInfo(
        evaluation.purpose,
        evaluation.dataset,
        evaluation.split,
        evaluation.step,
        episodes,
        evaluation.ways,
        evaluation.shots,
        evaluation.queries,
        evaluation.transductive,
        figures,
        evaluation.ways_to,
        evaluation.shots_to,
    )
