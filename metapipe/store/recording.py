"""What is written of a run: each function writes one kind of record in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from ..errors import NotFoundError
from ..events import CheckpointInfo, EpisodeRecord
from . import query, schema
from .checkpoint_names import LATEST, best_name
from .convert import columns, episode_rows, evaluation_columns, finite, headline
from .dialects import replacing
from .liveness import now
from .records import CheckpointRow, NewEvaluation, NewRun

# What every log step does is built once, of plain tables: that is half of its time.
_RUNS: Any = schema.Run.__table__
MOVED = (
    update(_RUNS)
    .where(_RUNS.c.id == bindparam("of"), _RUNS.c.claim == bindparam("by"))
    .values(step=bindparam("step"), heartbeat=bindparam("heartbeat"))
)
EPISODES = insert(cast(Any, schema.Episode.__table__))


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: str
    error: str | None
    reason: str | None
    metrics: Mapping[str, float] | None
    train_seconds: float | None


def run(session: Session, new: NewRun, claim: str, directory: str) -> int:
    """A run that begins, as running; returns its id."""
    facts = columns(new) | {"directory": directory}
    moment = {"created": now(), "heartbeat": now()}
    row = schema.Run(**facts, **moment, status="running", claim=claim, metrics={})
    session.add(row)
    session.flush()
    return row.id


def claimed(session: Session, claim: str) -> int | None:
    """The run that has that claim."""
    return session.scalar(select(schema.Run.id).where(schema.Run.claim == claim))


def status(session: Session, run_id: int) -> str | None:
    """The status that was written of a run."""
    return session.scalar(select(schema.Run.status).where(schema.Run.id == run_id))


def change(session: Session, run_id: int, **changes: Any) -> None:
    """Columns of a run. Raises NotFoundError."""
    table = schema.Run
    query = update(table).where(table.id == run_id).values(**changes)
    if session.scalar(query.returning(table.id)) is None:
        raise NotFoundError(f"no run {run_id} in this store")


def moved(session: Session, run_id: int, claim: str | None, step: int) -> bool:
    """Note how far a run is and that it is there; whether it has that claim."""
    values = {"of": run_id, "by": claim, "step": step, "heartbeat": now()}
    return session.connection().execute(MOVED, values).rowcount == 1


def ending(session: Session, run_id: int, end: Ending, moment: datetime) -> None:
    """A run that ends; figures and time as they were, if it does not tell them."""
    known: dict[str, Any] = {}
    if end.metrics is not None:
        known["metrics"] = finite(end.metrics)
    if end.train_seconds is not None:
        known["train_seconds"] = end.train_seconds
    change(
        session,
        run_id,
        status=end.status,
        error=end.error,
        reason=end.reason,
        finished=moment,
        heartbeat=moment,
        **known,
    )


def metrics(
    session: Session, run_id: int, step: int, figures: Mapping[str, float]
) -> None:
    """Figures of a meta-iteration, replacing those of the same name."""
    rows = [
        {"run_id": run_id, "step": step, "name": name, "value": float(value)}
        for name, value in figures.items()
    ]
    if rows:
        connection = session.connection()
        statement = replacing(schema.Metric, connection.dialect.name)
        connection.execute(statement, rows)


def episodes(
    session: Session,
    run_id: int,
    evaluation_id: int | None,
    records: Sequence[EpisodeRecord],
) -> None:
    """Episodes of an evaluation, or of training."""
    if records:
        rows = episode_rows(run_id, evaluation_id, records)
        session.connection().execute(EPISODES, rows)


def has_episodes(
    session: Session, run_id: int, records: Sequence[EpisodeRecord]
) -> bool:
    """Whether those training episodes are there: steps only grow."""
    if not records:
        return True
    table = schema.Episode
    newest = select(table.step).where(
        table.run_id == run_id, table.evaluation_id.is_(None)
    )
    last = session.scalar(newest.order_by(table.id.desc()).limit(1))
    return last is not None and last >= records[-1].step


def evaluated(session: Session, run_id: int, moment: datetime) -> int | None:
    """The evaluation that was written at that moment, also by a transaction of ours
    that is about to end."""
    session.execute(
        select(schema.Run.id).where(schema.Run.id == run_id).with_for_update()
    )
    table = schema.Evaluation
    found = select(table.id).where(table.run_id == run_id, table.created == moment)
    return session.scalar(found)


def evaluation(
    session: Session,
    run_id: int,
    new: NewEvaluation,
    records: Sequence[EpisodeRecord],
    moment: datetime,
    *,
    of_the_run: bool,
) -> int:
    """An evaluation with its episodes; returns its id."""
    facts = evaluation_columns(new) | {"run_id": run_id, "created": moment}
    row = schema.Evaluation(**facts, episodes=len(records))
    session.add(row)
    session.flush()
    episodes(session, run_id, row.id, records)
    if of_the_run and (figures := headline(new)):
        change(session, run_id, **figures)
    return row.id


def checkpoint(
    session: Session,
    run_id: int,
    info: CheckpointInfo,
    path: str,
    best: Sequence[int] = (),
) -> list[str]:
    """The latest checkpoint, or one of the best, which are those of the steps `best`
    then; returns the paths that no row names any more."""
    known = {row.which: row for row in query.checkpoints(session, run_id)}
    new = CheckpointRow(**{**vars(info), "run_id": run_id, "path": path}, created=now())
    if info.which == LATEST:
        kept = {**known, LATEST: new}
    else:
        by_step = {row.step: row for row in known.values() if row.which != LATEST}
        by_step[info.step] = new
        steps = [step for step in best or (info.step,) if step in by_step]
        kept = {best_name(place): by_step[step] for place, step in enumerate(steps)}
        if LATEST in known:
            kept[LATEST] = known[LATEST]
    table = schema.Checkpoint
    session.execute(delete(table).where(table.run_id == run_id))
    rows = [{**vars(row), "which": which} for which, row in kept.items()]
    session.execute(insert(table), rows)
    needed = {row.path for row in kept.values()}
    return sorted({row.path for row in known.values()} - needed)
