"""What is written of a run, by the process that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from ..errors import UsageError
from ..events import CheckpointInfo, EpisodeRecord
from . import deletion, recording
from .claims import Claims, new_claim
from .liveness import now, require_still
from .reader import StoreReader
from .recording import Ending
from .records import NewEvaluation, NewRun
from .waiting import WAIT, Result


class RunWriter(StoreReader):
    """The records of runs; each method is one transaction, done once."""

    def __init__(self, url: str, wait: float = WAIT) -> None:
        super().__init__(url, wait)
        self._claims = Claims()

    def hurry(self) -> None:
        """Wait for the database no more: the process is about to end."""
        self._database.wait = 0

    def begin_run(self, run: NewRun) -> int:
        """Enter a run, as running and this store's; returns its id."""
        claim, directory = new_claim(), self._database.kept(run.directory)

        def write(session: Session, again: bool) -> int:
            known = recording.claimed(session, claim) if again else None
            return known or recording.run(session, run, claim, directory)

        run_id = self._database.write(write)
        self._claims.hold(run_id, claim)
        return run_id

    def reopen_run(
        self,
        run_id: int,
        *,
        host: str,
        pid: int,
        step: int,
        config: Mapping[str, Any] | None = None,
        seen: int | None = None,
        own: bool = False,
    ) -> None:
        """Take a run over, to go on at `step`: what lies behind that is forgotten. With
        a `config` that has another end, the test of the former one is the run's no
        more; it stays among its evaluations. A completed run goes on so, if its end is
        still that at step `seen`. A run of the caller's `own`, whose process before
        this one was killed, is taken over whether it is known to be lost or not yet.

        Raises UsageError if the run is running, or completed and not to go on from its
        end: only one of two processes that resume it at once gets it.
        """
        claim = new_claim()

        def write(session: Session, again: bool) -> None:
            if again and recording.claimed(session, claim):
                return
            status, done = require_still(session, run_id, own)
            if status == "completed" and (config is None or done != seen):
                raise UsageError(f"run {run_id} is completed already")
            recording.change(
                session,
                run_id,
                status="running",
                claim=claim,
                error=None,
                reason=None,
                finished=None,
                heartbeat=now(),
                host=host,
                pid=pid,
                step=step,
                val_accuracy=deletion.after(session, run_id, step),
                **({} if config is None else _other_end(config)),
            )

        self._database.write(write)
        self._claims.hold(run_id, claim)

    def update_run(
        self,
        run_id: int,
        *,
        mapping: str | None = None,
        step: int | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """Note how tasks are mapped, how far the run is, or what its surroundings are;
        a heartbeat too. All that was written of the run is on disk then."""
        given = {"mapping": mapping, "step": step, "environment": environment}
        changes = {name: value for name, value in given.items() if value is not None}
        self._change(run_id, changes)

    def heartbeat(self, run_id: int) -> None:
        """Show that the run's process is alive; waits for nothing."""
        self._change(run_id, {}, durable=False, wait=0)

    def record_metrics(
        self,
        run_id: int,
        step: int,
        metrics: Mapping[str, float],
        episodes: Sequence[EpisodeRecord] = (),
    ) -> None:
        """Write figures of a meta-iteration, replacing those of the same name, training
        episodes, and that the run is there."""
        held = self._claims.held(run_id)

        def write(session: Session, again: bool) -> None:
            if not recording.moved(session, run_id, held, step):
                self._claims.require(session, run_id)
            recording.metrics(session, run_id, step, metrics)
            if not (again and recording.has_episodes(session, run_id, episodes)):
                recording.episodes(session, run_id, None, episodes)

        self._database.write(write, durable=False)

    def record_episodes(self, run_id: int, episodes: Sequence[EpisodeRecord]) -> None:
        """Write training episodes of a run of ours, in the order of their steps."""

        def write(session: Session, again: bool) -> None:
            if not (again and recording.has_episodes(session, run_id, episodes)):
                recording.episodes(session, run_id, None, episodes)

        if episodes:
            self._write(run_id, write, durable=False)

    def record_evaluation(
        self,
        run_id: int,
        evaluation: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
        *,
        of_the_run: bool = True,
    ) -> int:
        """Write an evaluation with its episodes; returns its id.

        The run's own figures follow, the test and the best validation, unless this is
        not `of_the_run` but what anybody asked of it later.
        """
        moment = now()

        def write(session: Session, again: bool) -> int:
            known = recording.evaluated(session, run_id, moment) if again else None
            return known or recording.evaluation(
                session, run_id, evaluation, episodes, moment, of_the_run=of_the_run
            )

        if of_the_run:
            return self._write(run_id, write)
        return self._database.write(write)

    def save_checkpoint(
        self, run_id: int, checkpoint: CheckpointInfo, best: Sequence[int] = ()
    ) -> list[Path]:
        """Note the latest checkpoint, or one of the best; returns the files that are no
        longer needed.

        `best` are the steps of those that are to be kept as the best, the very best
        first; this one alone if none are given.
        """
        path = self._database.kept(checkpoint.path)

        def write(session: Session, again: bool) -> list[str]:
            return recording.checkpoint(session, run_id, checkpoint, path, best)

        replaced = self._write(run_id, write)
        return [Path(self._database.found(each)) for each in replaced]

    def finish_run(
        self,
        run_id: int,
        status: Literal["completed", "interrupted", "stopped", "failed"],
        *,
        error: str | None = None,
        reason: str | None = None,
        metrics: Mapping[str, float] | None = None,
        train_seconds: float | None = None,
    ) -> None:
        """Close the books of a run; `reason` says why it stopped or was interrupted.
        What is completed stays so."""
        ending = Ending(status, error, reason, metrics, train_seconds)

        def write(session: Session, again: bool) -> None:
            if recording.status(session, run_id) != "completed":
                recording.ending(session, run_id, ending, now())

        self._write(run_id, write)

    def complete_run(
        self,
        run_id: int,
        evaluation: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
        *,
        metrics: Mapping[str, float],
        train_seconds: float,
    ) -> int:
        """Write the test that a run ends by, and close its books: one is not without
        the other. Returns the evaluation's id."""
        moment = now()
        ending = Ending("completed", None, None, metrics, train_seconds)

        def write(session: Session, again: bool) -> int:
            if again and (known := recording.evaluated(session, run_id, moment)):
                return known
            recording.ending(session, run_id, ending, moment)
            return recording.evaluation(
                session, run_id, evaluation, episodes, moment, of_the_run=True
            )

        return self._write(run_id, write)

    def enter_run(
        self,
        run: NewRun,
        evaluation: NewEvaluation,
        episodes: Sequence[EpisodeRecord],
        *,
        metrics: Mapping[str, float],
        train_seconds: float,
    ) -> tuple[int, int]:
        """Enter a run that is completed, with its evaluation, as one; returns the ids
        of both."""
        claim, directory = new_claim(), self._database.kept(run.directory)
        moment = now()
        ending = Ending("completed", None, None, metrics, train_seconds)

        def write(session: Session, again: bool) -> tuple[int, int]:
            if again and (run_id := recording.claimed(session, claim)):
                known = recording.evaluated(session, run_id, moment)
                assert known is not None
                return run_id, known
            run_id = recording.run(session, run, claim, directory)
            number = recording.evaluation(
                session, run_id, evaluation, episodes, moment, of_the_run=True
            )
            recording.ending(session, run_id, ending, moment)
            return run_id, number

        return self._database.write(write)

    def _write(
        self,
        run_id: int,
        work: Callable[[Session, bool], Result],
        *,
        durable: bool = True,
        wait: float | None = None,
    ) -> Result:
        """A transaction of the process that the run belongs to."""

        def owning(session: Session, again: bool) -> Result:
            self._claims.require(session, run_id)
            return work(session, again)

        return self._database.write(owning, durable=durable, wait=wait)

    def _change(
        self,
        run_id: int,
        changes: Mapping[str, Any],
        *,
        durable: bool = True,
        wait: float | None = None,
    ) -> None:
        def write(session: Session, again: bool) -> None:
            recording.change(session, run_id, **changes, heartbeat=now())

        self._write(run_id, write, durable=durable, wait=wait)


def _other_end(config: Mapping[str, Any]) -> dict[str, Any]:
    iterations = config["training"]["iterations"]
    figures = dict.fromkeys(("accuracy", "accuracy_ci95", "loss"))
    return {"config": dict(config), "iterations": iterations, **figures}
