"""The task store: what ran, with what, and what came of it.

Any number of processes may use a store at once. Each method is one transaction: it
happens as a whole or not at all, whenever its process dies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from ..errors import NotFoundError
from ..events import CheckpointInfo, EpisodeRecord
from . import deletion, query, schema
from .convert import columns, episode_rows, headline
from .database import Database
from .liveness import alive, mark_lost, now, require_idle
from .migrate import require_current
from .records import (
    CheckpointRow,
    EpisodeRow,
    EvaluationRow,
    MetricRow,
    NewEvaluation,
    NewRun,
    RunRow,
)


class TaskStore:
    """A store at a database URL. Open it with `TaskStore.open`."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.url_masked = self._database.masked

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

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing: the process of a run.

    def begin_run(self, run: NewRun) -> int:
        """Enter a run, as running; returns its id."""
        moment = now()
        row = schema.Run(
            **columns(run),
            status="running",
            created=moment,
            heartbeat=moment,
            metrics={},
        )
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            return row.id

    def reopen_run(self, run_id: int, *, host: str, pid: int, step: int) -> None:
        """Let a run go on at `step`: what lies behind that is forgotten.

        Raises UsageError if the run is running: only one of two processes that resume
        it at once gets it.
        """
        mark_lost(self._database)
        moment = now()
        with self._database.writing() as session:
            require_idle(session, run_id)
            _change(
                session,
                run_id,
                status="running",
                error=None,
                finished=None,
                heartbeat=moment,
                host=host,
                pid=pid,
                step=step,
                val_accuracy=deletion.after(session, run_id, step),
            )

    def update_run(
        self, run_id: int, *, mapping: str | None = None, step: int | None = None
    ) -> None:
        """Note how tasks are mapped, or how far the run is; a heartbeat too."""
        given = {"mapping": mapping, "step": step}
        changes = {name: value for name, value in given.items() if value is not None}
        with self._database.writing() as session:
            _change(session, run_id, **changes, **alive())

    def heartbeat(self, run_id: int) -> None:
        """Show that the run's process is alive."""
        self.update_run(run_id)

    def record_metrics(
        self, run_id: int, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Write figures of a meta-iteration, replacing those of the same name."""
        rows = [
            {"run_id": run_id, "step": step, "name": name, "value": float(value)}
            for name, value in metrics.items()
        ]
        if not rows:
            return
        with self._database.writing() as session:
            session.execute(
                delete(schema.Metric).where(
                    schema.Metric.run_id == run_id,
                    schema.Metric.step == step,
                    schema.Metric.name.in_(list(metrics)),
                )
            )
            session.execute(insert(schema.Metric), rows)

    def record_episodes(self, run_id: int, episodes: Sequence[EpisodeRecord]) -> None:
        """Write training episodes."""
        if episodes:
            with self._database.writing() as session:
                session.execute(
                    insert(schema.Episode), episode_rows(run_id, None, episodes)
                )

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
        not `of_the_run` but of what somebody asked of it later.
        """
        row = schema.Evaluation(
            **columns(evaluation),
            run_id=run_id,
            created=now(),
            episodes=len(episodes),
        )
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            if episodes:
                session.execute(
                    insert(schema.Episode), episode_rows(run_id, row.id, episodes)
                )
            if of_the_run and (figures := headline(evaluation)):
                _change(session, run_id, **figures)
            return row.id

    def save_checkpoint(self, run_id: int, checkpoint: CheckpointInfo) -> Path | None:
        """Note the newest checkpoint of its kind; returns the file it replaces."""
        key = (run_id, checkpoint.kind)
        with self._database.writing() as session:
            row = session.get(schema.Checkpoint, key)
            replaced = None if row is None else Path(row.path)
            session.merge(
                schema.Checkpoint(
                    run_id=run_id,
                    kind=checkpoint.kind,
                    step=checkpoint.step,
                    path=str(checkpoint.path),
                    sha256=checkpoint.sha256,
                    bytes=checkpoint.bytes,
                    created=now(),
                )
            )
        return None if replaced == checkpoint.path else replaced

    def finish_run(
        self,
        run_id: int,
        status: Literal["completed", "interrupted", "stopped", "failed"],
        *,
        error: str | None = None,
        metrics: Mapping[str, float] | None = None,
        train_seconds: float | None = None,
    ) -> None:
        """Close the books of a run."""
        changes: dict[str, Any] = {"status": status, "error": error}
        if metrics is not None:
            changes["metrics"] = {
                name: value if math.isfinite(value) else None  # JSON has no others
                for name, value in metrics.items()
            }
        if train_seconds is not None:
            changes["train_seconds"] = train_seconds
        with self._database.writing() as session:
            moment = now()
            _change(session, run_id, finished=moment, heartbeat=moment, **changes)

    def delete_run(self, run_id: int) -> RunRow:
        """Remove a run with all its rows; its files are the caller's to remove."""
        row = self.run(run_id)
        with self._database.writing() as session:
            deletion.run(session, row.id)
        return row

    # Reading: anybody.

    def run(self, ref: int | str) -> RunRow:
        """A run by id, by name (the newest of that name), or as "latest".

        Raises NotFoundError.
        """
        mark_lost(self._database)
        with self._database.reading() as session:
            return query.run(session, ref)

    def runs(
        self, where: str = "", *, sort: str = "-id", limit: int | None = 50
    ) -> list[RunRow]:
        """Runs that match a filter (`algorithm=maml and accuracy>0.9`), sorted.

        Raises FilterError.
        """
        mark_lost(self._database)
        with self._database.reading() as session:
            return query.runs(session, where, sort, limit)

    def metrics(self, run_id: int, name: str | None = None) -> list[MetricRow]:
        """Figures by step, of one name or all."""
        with self._database.reading() as session:
            return query.metrics(session, run_id, name)

    def evaluations(self, run_id: int) -> list[EvaluationRow]:
        """All evaluations of a run, oldest first."""
        with self._database.reading() as session:
            return query.evaluations(session, run_id)

    def evaluation(self, evaluation_id: int) -> EvaluationRow:
        """One evaluation. Raises NotFoundError."""
        with self._database.reading() as session:
            return query.evaluation(session, evaluation_id)

    def checkpoints(self, run_id: int) -> list[CheckpointRow]:
        """The newest checkpoint of each kind."""
        with self._database.reading() as session:
            return query.checkpoints(session, run_id)

    def episodes(
        self,
        run_id: int,
        *,
        where: str = "",
        sort: str = "id",
        hardest: int | None = None,
        limit: int | None = 50,
    ) -> list[EpisodeRow]:
        """Episodes of a run that match a filter; or its `hardest`, worst first.

        Raises FilterError.
        """
        with self._database.reading() as session:
            if hardest is not None:
                return query.hardest(session, run_id, where, hardest)
            return query.episodes(session, run_id, where, sort, limit)

    def episode(self, episode_id: int) -> EpisodeRow:
        """One episode. Raises NotFoundError."""
        with self._database.reading() as session:
            return query.episode(session, episode_id)


def _change(session: Session, run_id: int, **changes: Any) -> None:
    run = schema.Run
    changed = update(run).where(run.id == run_id).values(**changes).returning(run.id)
    if session.scalar(changed) is None:
        raise NotFoundError(f"no run {run_id} in this store")
