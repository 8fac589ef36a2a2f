"""The task store: runs, their figures, episodes, evaluations and checkpoints.

Every method is one short transaction. Only the process of a run writes to it; anybody
may read at any time. A run whose process has died is noticed on reading and marked
`lost`; a heartbeat that arrives after all takes that back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import (
    Select,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from ..episode import EpisodeRecord
from ..errors import FilterError, NotFoundError, StoreError, did_you_mean
from ..events import CheckpointInfo
from ..records import (
    CheckpointRow,
    EpisodeRow,
    EvaluationRow,
    MetricRow,
    NewEvaluation,
    NewRun,
    RunRow,
)
from . import schema
from .engine import connect, mask
from .filters import episode_fields, order_by, parse, run_fields
from .migrate import current, require_current, upgrade
from .presence import alive, mark_lost, now
from .rows import columns, episode_row, episode_rows, headline, record, with_recipe


class TaskStore:
    """A store at a database URL. Open it with `TaskStore.open`."""

    def __init__(self, url: str) -> None:
        self.url_masked = mask(url)
        self._engine = connect(url)

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect; a new database gets its tables.

        Raises StoreError if the database cannot be reached, and OutdatedSchemaError if
        another version of metapipe made it.
        """
        store = cls(url)
        try:
            with store._translated():
                require_current(store._engine, store.url_masked)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

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
        with self._session() as session:
            session.add(row)
            session.flush()
            return row.id

    def reopen_run(self, run_id: int, *, host: str, pid: int, step: int) -> None:
        """Let a run go on at `step`: what lies behind that is forgotten."""
        behind = (
            delete(schema.Metric).where(
                schema.Metric.run_id == run_id, schema.Metric.step > step
            ),
            delete(schema.Episode).where(
                schema.Episode.run_id == run_id,
                schema.Episode.evaluation_id.is_(None),
                schema.Episode.step > step,
            ),
            delete(schema.Evaluation).where(
                schema.Evaluation.run_id == run_id,
                schema.Evaluation.purpose == "validation",
                schema.Evaluation.step > step,
            ),
        )
        with self._session() as session:
            for statement in behind:
                session.execute(statement)
            best = select(func.max(schema.Evaluation.accuracy)).where(
                schema.Evaluation.run_id == run_id,
                schema.Evaluation.purpose == "validation",
            )
            self._change(
                session,
                run_id,
                status="running",
                error=None,
                finished=None,
                heartbeat=now(),
                host=host,
                pid=pid,
                step=step,
                val_accuracy=best.scalar_subquery(),
            )

    def update_run(
        self, run_id: int, *, mapping: str | None = None, step: int | None = None
    ) -> None:
        """Note how tasks are mapped, or how far the run is; a heartbeat too."""
        given = {"mapping": mapping, "step": step}
        changes = {name: value for name, value in given.items() if value is not None}
        with self._session() as session:
            self._change(session, run_id, **changes, **alive())

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
        with self._session() as session:
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
            with self._session() as session:
                session.execute(
                    insert(schema.Episode), episode_rows(run_id, None, episodes)
                )

    def record_evaluation(
        self, run_id: int, evaluation: NewEvaluation, episodes: Sequence[EpisodeRecord]
    ) -> int:
        """Write an evaluation with its episodes; returns its id.

        The run's own figures follow: the newest test, and the best validation.
        """
        row = schema.Evaluation(
            **columns(evaluation),
            run_id=run_id,
            created=now(),
            episodes=len(episodes),
        )
        with self._session() as session:
            session.add(row)
            session.flush()
            if episodes:
                session.execute(
                    insert(schema.Episode), episode_rows(run_id, row.id, episodes)
                )
            self._change(session, run_id, **headline(evaluation))
            return row.id

    def save_checkpoint(self, run_id: int, checkpoint: CheckpointInfo) -> Path | None:
        """Note the newest checkpoint of its kind; returns the file it replaces."""
        key = (run_id, checkpoint.kind)
        with self._session() as session:
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
        status: Literal["completed", "interrupted", "failed"],
        *,
        error: str | None = None,
        metrics: Mapping[str, float] | None = None,
        train_seconds: float | None = None,
    ) -> None:
        """Close the books of a run."""
        changes: dict[str, Any] = {"status": status, "error": error}
        if metrics is not None:
            changes["metrics"] = dict(metrics)
        if train_seconds is not None:
            changes["train_seconds"] = train_seconds
        with self._session() as session:
            moment = now()
            self._change(session, run_id, finished=moment, heartbeat=moment, **changes)

    def delete_run(self, run_id: int) -> RunRow:
        """Remove a run with all its rows; its files are the caller's to remove."""
        row = self.run(run_id)
        with self._session() as session:
            for table in (schema.Episode, schema.Evaluation, schema.Metric):
                session.execute(delete(table).where(table.run_id == run_id))
            session.execute(delete(schema.Run).where(schema.Run.id == run_id))
        return row

    # Reading: anybody.

    def run(self, ref: int | str) -> RunRow:
        """A run by id, by name (the newest of that name), or as "latest"."""
        newest = select(schema.Run).order_by(schema.Run.id.desc()).limit(1)
        text = str(ref)
        if text.isdecimal():
            chosen = newest.where(schema.Run.id == int(text))
        elif text == "latest":
            chosen = newest
        else:
            chosen = newest.where(schema.Run.name == text)
        with self._reading() as session:
            row = session.scalar(chosen)
            if row is None:
                names = session.scalars(select(schema.Run.name).distinct())
                hint = did_you_mean(text, [name for name in names if name])
                near = hint if hint.startswith("did") else "see 'metapipe runs list'"
                raise NotFoundError(f"no run '{text}' in {self.url_masked}; {near}")
            return record(RunRow, row)

    def runs(
        self, where: str = "", *, sort: str = "-id", limit: int | None = 50
    ) -> list[RunRow]:
        """Runs that match a filter (`algorithm=maml and accuracy>0.9`), sorted.

        Raises FilterError.
        """
        known = run_fields()
        query = select(schema.Run).where(parse(where, known))
        query = query.order_by(*order_by(sort, known), schema.Run.id.desc())
        with self._reading() as session:
            rows = self._filtered(session, query.limit(limit), where)
            return [record(RunRow, row) for row in rows]

    def metrics(self, run_id: int, name: str | None = None) -> list[MetricRow]:
        """Figures by step, of one name or all."""
        table = schema.Metric
        query = select(table).where(table.run_id == run_id)
        if name is not None:
            query = query.where(table.name == name)
        with self._session() as session:
            rows = session.scalars(query.order_by(table.name, table.step))
            return [record(MetricRow, row) for row in rows]

    def evaluations(self, run_id: int) -> list[EvaluationRow]:
        """All evaluations of a run, oldest first."""
        table = schema.Evaluation
        query = select(table).where(table.run_id == run_id).order_by(table.id)
        with self._session() as session:
            return [record(EvaluationRow, row) for row in session.scalars(query)]

    def evaluation(self, evaluation_id: int) -> EvaluationRow:
        """One evaluation."""
        with self._session() as session:
            row = session.get(schema.Evaluation, evaluation_id)
            if row is None:
                raise NotFoundError(f"no evaluation {evaluation_id} in this store")
            return record(EvaluationRow, row)

    def checkpoints(self, run_id: int) -> list[CheckpointRow]:
        """The newest checkpoint of each kind."""
        table = schema.Checkpoint
        query = select(table).where(table.run_id == run_id).order_by(table.kind)
        with self._session() as session:
            return [record(CheckpointRow, row) for row in session.scalars(query)]

    def episodes(
        self,
        run_id: int,
        *,
        where: str = "",
        sort: str = "id",
        hardest: int | None = None,
        limit: int | None = 50,
    ) -> list[EpisodeRow]:
        """Episodes of a run that match a filter; or its `hardest`, worst first."""
        known = episode_fields()
        table = schema.Episode
        query = with_recipe().where(table.run_id == run_id, parse(where, known))
        if hardest is not None:
            query = query.order_by(table.accuracy, table.loss.desc()).limit(hardest)
        else:
            query = query.order_by(*order_by(sort, known), table.id).limit(limit)
        with self._session() as session:
            rows = self._filtered(session, query, where, scalars=False)
            return [episode_row(*row) for row in rows]

    def episode(self, episode_id: int) -> EpisodeRow:
        """One episode."""
        query = with_recipe().where(schema.Episode.id == episode_id)
        with self._session() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"no episode {episode_id} in this store; see 'metapipe episodes list'"
            )
        return episode_row(*row)

    # How it is done.

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """One transaction: committed at the end, or not at all."""
        with (
            self._translated(),
            Session(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """A transaction that sees runs whose process died as lost."""
        with self._session() as session:
            mark_lost(session)
            yield session

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the database's errors into one line."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            first = reason.splitlines()[0] if reason else type(error).__name__
            raise StoreError(f"the store {self.url_masked} failed: {first}") from error

    def _filtered(
        self, session: Session, query: Select[Any], where: str, scalars: bool = True
    ) -> list[Any]:
        """Run a query; a comparison that the database cannot make is the filter's."""
        try:
            found = session.execute(query)
            return list(found.scalars() if scalars else found)
        except DBAPIError as error:
            if where:
                reason = str(error.orig).strip().splitlines()[0]
                raise FilterError(f"cannot apply '{where}': {reason}") from error
            raise

    def _change(self, session: Session, run_id: int, **changes: Any) -> None:
        statement = update(schema.Run).where(schema.Run.id == run_id)
        if session.execute(statement.values(**changes)).rowcount == 0:  # type: ignore[attr-defined]  # an UPDATE has one
            raise NotFoundError(f"no run '{run_id}' in {self.url_masked}")


def upgrade_store(url: str) -> tuple[str | None, str | None]:
    """Migrate the database at `url`; returns its revisions before and after."""
    store = TaskStore(url)
    try:
        with store._translated():
            before = current(store._engine)
            upgrade(store._engine)
            return before, current(store._engine)
    finally:
        store.close()


def store_revision(url: str) -> str | None:
    """The schema revision of the database at `url`; None if it has none of ours."""
    store = TaskStore(url)
    try:
        with store._translated():
            return current(store._engine)
    finally:
        store.close()
