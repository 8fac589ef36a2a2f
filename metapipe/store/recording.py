"""What is written of a run: each function writes one kind of record in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from ..errors import NotFoundError
from ..events import CheckpointInfo, EpisodeRecord
from . import schema
from .convert import columns, episode_rows, evaluation_columns, headline
from .liveness import now
from .records import NewEvaluation, NewRun


def run(session: Session, new: NewRun, claim: str, directory: str) -> int:
    """A run that begins, as running; returns its id."""
    facts = columns(new) | {"directory": directory}
    moment = {"created": now(), "heartbeat": now()}
    row = schema.Run(**facts, **moment, status="running", claim=claim, metrics={})
    session.add(row)
    session.flush()
    return row.id


def change(session: Session, run_id: int, **changes: Any) -> None:
    """Columns of a run. Raises NotFoundError."""
    table = schema.Run
    query = update(table).where(table.id == run_id).values(**changes)
    if session.scalar(query.returning(table.id)) is None:
        raise NotFoundError(f"no run {run_id} in this store")


def metrics(
    session: Session, run_id: int, step: int, figures: Mapping[str, float]
) -> None:
    """Figures of a meta-iteration, replacing those of the same name."""
    table = schema.Metric
    same = (table.run_id == run_id) & (table.step == step)
    session.execute(delete(table).where(same, table.name.in_(list(figures))))
    rows = [
        {"run_id": run_id, "step": step, "name": name, "value": float(value)}
        for name, value in figures.items()
    ]
    session.execute(insert(table), rows)


def episodes(
    session: Session,
    run_id: int,
    evaluation_id: int | None,
    records: Sequence[EpisodeRecord],
) -> None:
    """Episodes of an evaluation, or of training."""
    if records:
        rows = episode_rows(run_id, evaluation_id, records)
        session.execute(insert(schema.Episode), rows)


def evaluation(
    session: Session,
    run_id: int,
    new: NewEvaluation,
    records: Sequence[EpisodeRecord],
    *,
    of_the_run: bool,
) -> int:
    """An evaluation with its episodes; returns its id."""
    facts = evaluation_columns(new) | {"run_id": run_id, "created": now()}
    row = schema.Evaluation(**facts, episodes=len(records))
    session.add(row)
    session.flush()
    episodes(session, run_id, row.id, records)
    if of_the_run and (figures := headline(new)):
        change(session, run_id, **figures)
    return row.id


def checkpoint(
    session: Session, run_id: int, info: CheckpointInfo, path: str
) -> str | None:
    """The newest checkpoint of its kind; returns the path it replaces."""
    row = session.get(schema.Checkpoint, (run_id, info.which))
    replaced = None if row is None else row.path
    session.merge(
        schema.Checkpoint(
            run_id=run_id,
            which=info.which,
            step=info.step,
            path=path,
            sha256=info.sha256,
            bytes=info.bytes,
            created=now(),
        )
    )
    return None if replaced == path else replaced
