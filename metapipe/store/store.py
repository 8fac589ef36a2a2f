"""The task store: what ran, with what, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy.orm import Session

from ..events import CheckpointInfo, EpisodeRecord
from . import deletion, recording, tags
from .claims import Claims, new_claim
from .convert import finite
from .liveness import now, require_idle
from .migrate import require_current
from .reader import StoreReader
from .records import NewEvaluation, NewRun, RunRow


class TaskStore(StoreReader):
    """A store at a database URL. Open it with `TaskStore.open`; ask it what
    `StoreReader` tells.

    **Transactions.** Each method is one: it happens as a whole or not at all, whenever
    its process dies, and what it wrote is seen by whoever asks afterwards, in this
    process or another.

    **Processes and threads.** Any number of processes may use a store at once, on
    SQLite those of one machine; writers wait for one another. Threads may share an
    opened store. A child process opens its own: connections are not inherited.

    **Who may write.** Questions write nothing, nor does opening a store that is as this
    version needs it. The records of a run are its process's to write: of the opened
    store that began or last reopened it. Once another has reopened it, all of them
    raise ClaimError, and its process stops. Evaluations that are not `of_the_run`, tags
    and notes are anybody's, at any time, and so is deletion.

    **Running runs.** A run is running until it is finished or its process dies: then it
    is `lost`, wherever that is asked. A run that is thought lost and heard again is
    running. Only a run that is not running can be reopened, and of those who try at
    once one gets it.

    All methods raise StoreError if the database fails.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._claims = Claims()

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect; a new database gets its tables.

        Raises StoreError if the database cannot be reached, and OutdatedSchemaError if
        another version of metapipe made it.
        """
        store = cls(url)
        try:
            require_current(store._database)
        except BaseException:
            store.close()
            raise
        return store

    # The process of a run.

    def begin_run(self, run: NewRun) -> int:
        """Enter a run, as running and this store's; returns its id."""
        claim, directory = new_claim(), self._database.kept(run.directory)
        with self._database.writing() as session:
            run_id = recording.run(session, run, claim, directory)
        self._claims.hold(run_id, claim)
        return run_id

    def reopen_run(self, run_id: int, *, host: str, pid: int, step: int) -> None:
        """Take a run over, to go on at `step`: what lies behind that is forgotten.

        Raises UsageError if the run is running: only one of two processes that resume
        it at once gets it.
        """
        claim = new_claim()
        with self._database.writing() as session:
            require_idle(session, run_id)
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
            )
        self._claims.hold(run_id, claim)

    def update_run(
        self, run_id: int, *, mapping: str | None = None, step: int | None = None
    ) -> None:
        """Note how tasks are mapped, or how far the run is; a heartbeat too."""
        given = {"mapping": mapping, "step": step}
        changes = {name: value for name, value in given.items() if value is not None}
        with self._owning(run_id) as session:
            recording.change(session, run_id, **changes, heartbeat=now())

    def heartbeat(self, run_id: int) -> None:
        """Show that the run's process is alive."""
        self.update_run(run_id)

    def record_metrics(
        self, run_id: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Write figures of a meta-iteration, replacing those of the same name."""
        if metrics:
            with self._owning(run_id) as session:
                recording.metrics(session, run_id, step, metrics)

    def record_episodes(self, run_id: int, episodes: Sequence[EpisodeRecord]) -> None:
        """Write training episodes of a run of ours."""
        if episodes:
            with self._owning(run_id) as session:
                recording.episodes(session, run_id, None, episodes)

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
        begun = self._owning(run_id) if of_the_run else self._database.writing()
        with begun as session:
            return recording.evaluation(
                session, run_id, evaluation, episodes, of_the_run=of_the_run
            )

    def save_checkpoint(self, run_id: int, checkpoint: CheckpointInfo) -> Path | None:
        """Note the newest checkpoint of its kind; returns the file it replaces."""
        path = self._database.kept(checkpoint.path)
        with self._owning(run_id) as session:
            replaced = recording.checkpoint(session, run_id, checkpoint, path)
        return None if replaced is None else Path(self._database.found(replaced))

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
        """Close the books of a run; `reason` says why it stopped or was interrupted."""
        changes: dict[str, Any] = {"status": status, "error": error, "reason": reason}
        if metrics is not None:
            changes["metrics"] = finite(metrics)
        if train_seconds is not None:
            changes["train_seconds"] = train_seconds
        moment = now()
        with self._owning(run_id) as session:
            recording.change(
                session, run_id, finished=moment, heartbeat=moment, **changes
            )

    # Anybody.

    def tag(
        self, run_id: int, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> None:
        """Put tags on a run and take others off.

        Raises UsageError for what is no tag, NotFoundError.
        """
        with self._database.writing() as session:
            tags.change(session, run_id, add, remove)

    def note(self, run_id: int, text: str | None) -> None:
        """Write down something about a run, in place of what was. Raises
        NotFoundError."""
        with self._database.writing() as session:
            recording.change(session, run_id, notes=text or None)

    def delete_run(self, run_id: int) -> RunRow:
        """Remove a run with all its rows; its files are the caller's to remove."""
        row = self.run(run_id)
        with self._database.writing() as session:
            deletion.run(session, row.id)
        return row

    @contextmanager
    def _owning(self, run_id: int) -> Iterator[Session]:
        """A transaction of the process that the run belongs to."""
        with self._database.writing() as session:
            self._claims.require(session, run_id)
            yield session
