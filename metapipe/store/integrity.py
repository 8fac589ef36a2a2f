"""What is damaged in a database, or contradicts itself. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, aliased

from .database import reason
from .fault import Fault
from .liveness import status
from .schema import Base, Checkpoint, Episode, Evaluation, Metric, Pruning, Run
from .transfer import STATUSES

DAMAGED = "damaged database"
"""A fault beside which no other is looked for."""

SHOWN = 20
"""Faults of one kind that are told one by one."""


def faults(session: Session) -> list[Fault]:
    """All of them, of whatever kind."""
    damaged = list(_damaged_pages(session))
    if damaged:  # whatever else is asked may fail
        return damaged
    found = [*_orphans(session), *_of_runs(session)]
    return [*found, *_of_evaluations(session), *_doubled(session)]


def _damaged_pages(session: Session) -> Iterator[Fault]:
    """What SQLite itself finds; Postgres has its own tools."""
    if session.connection().dialect.name != "sqlite":
        return
    try:
        asked = f"PRAGMA integrity_check({SHOWN})"
        rows = session.connection().exec_driver_sql(asked).all()
    except DatabaseError as error:  # it cannot even be read so far
        yield Fault(DAMAGED, "the file", reason(error))
        return
    for (text,) in rows:
        if text != "ok":
            yield Fault(DAMAGED, "the file", str(text))


def _orphans(session: Session) -> Iterator[Fault]:
    """Rows that refer to rows which are not there."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            column, target = key.parent, key.column.table.alias()
            theirs = target.c[key.column.name]
            gone = ~exists().where(theirs == column)
            query = select(column, func.count()).where(column.is_not(None), gone)
            query = query.group_by(column).order_by(column)
            for number, many in session.execute(query.limit(SHOWN)):
                yield Fault(
                    "orphaned rows",
                    table.name,
                    f"{many} with {column.name} {number}, which is not there",
                )


def _of_runs(session: Session) -> Iterator[Fault]:
    """Runs whose columns contradict each other, or their records."""
    current = status(session)
    still = current != "running"
    kinds: dict[str, ColumnElement[bool]] = {
        "a status that there is not": Run.status.not_in(STATUSES),
        "ended without an end": Run.status.not_in(("running",))
        & Run.finished.is_(None),
        "running with an end": (Run.status == "running") & Run.finished.is_not(None),
        "an end before its begin": Run.finished < Run.created,
        "a step that cannot be": (Run.step < 0) | (Run.step > Run.iterations),
        "completed before its last step": (Run.status == "completed")
        & (Run.step < Run.iterations)
        & Run.config["training", "minutes"].as_string().is_(None),
        "completed without an evaluation": (Run.status == "completed")
        & ~exists().where(Evaluation.run_id == Run.id),
    }
    for what, condition in kinds.items():
        query = select(Run.id, Run.status, Run.step, Run.iterations).where(condition)
        for row in session.execute(query.order_by(Run.id).limit(SHOWN)):
            detail = f"{row.status} at step {row.step} of {row.iterations}"
            yield Fault(what, f"run {row.id}", detail)
    for table in (Metric, Checkpoint, Evaluation):
        later = select(Run.id, Run.step, func.max(table.step)).where(still)
        later = later.join(table, table.run_id == Run.id).group_by(Run.id, Run.step)
        later = later.having(func.max(table.step) > Run.step).order_by(Run.id)
        for run_id, step, at in session.execute(later.limit(SHOWN)):
            detail = f"{table.__tablename__} of step {at}, in a run at step {step}"
            yield Fault("records of steps to come", f"run {run_id}", detail)


def _of_evaluations(session: Session) -> Iterator[Fault]:
    """Evaluations that have not the episodes that they say."""
    pruned = (
        select(func.coalesce(func.sum(Pruning.count), 0))
        .where(Pruning.evaluation_id == Evaluation.id)
        .scalar_subquery()
    )
    there = (
        select(func.count())
        .select_from(Episode)
        .where(Episode.evaluation_id == Evaluation.id)
        .scalar_subquery()
    )
    query = select(Evaluation.id, Evaluation.run_id, Evaluation.episodes, there, pruned)
    query = query.where(Evaluation.episodes != there + pruned).order_by(Evaluation.id)
    for number, run_id, said, found, gone in session.execute(query.limit(SHOWN)):
        also = f", and {gone} were pruned" if gone else ""
        yield Fault(
            "episodes that are not there",
            f"run {run_id}",
            f"evaluation {number} has {found} episodes and says {said}{also}",
        )
    owner = aliased(Evaluation)
    strayed = select(Episode.id, Episode.run_id, owner.run_id).where(
        Episode.evaluation_id == owner.id, Episode.run_id != owner.run_id
    )
    for number, run_id, other in session.execute(strayed.limit(SHOWN)):
        detail = f"episode {number} is of an evaluation of run {other}"
        yield Fault("episodes of another run", f"run {run_id}", detail)


def _doubled(session: Session) -> Iterator[Fault]:
    """What was recorded twice, as by two processes at one run."""
    training = Episode.evaluation_id.is_(None)
    validation = Evaluation.purpose == "validation"
    validated = (Evaluation.run_id, Evaluation.step, Evaluation.split, Evaluation.seed)
    asked: dict[str, Select[Any]] = {
        "training episodes": _twice(
            training, Episode.run_id, Episode.step, Episode.index
        ),
        "evaluated episodes": _twice(
            ~training, Episode.run_id, Episode.evaluation_id, Episode.index
        ),
        "validations": _twice(validation, *validated, Evaluation.dataset),
    }
    for what, query in asked.items():
        pairs = query.subquery()
        found = select(pairs.c.run_id, func.count()).group_by(pairs.c.run_id)
        for run_id, many in session.execute(found.order_by(pairs.c.run_id)):
            yield Fault("recorded twice", f"run {run_id}", f"{many} {what}")


def _twice(condition: ColumnElement[bool], *key: Any) -> Select[Any]:
    query = select(*key).where(condition).group_by(*key)
    return query.having(func.count() > 1)
