"""What is deleted: a run, or what a resumed run will do again."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from . import schema
from .schema import Episode, Evaluation, Metric


def run(session: Session, run_id: int) -> None:
    """All rows of a run; its checkpoints' and tags go with it."""
    for table in (Episode, Evaluation, Metric):
        session.execute(delete(table).where(table.run_id == run_id))
    session.execute(delete(schema.Run).where(schema.Run.id == run_id))


def after(session: Session, run_id: int, step: int) -> float | None:
    """Figures, training episodes and validations of later steps than `step`.

    Returns the best validation accuracy of those that remain.
    """
    validation = (Evaluation.run_id == run_id) & (Evaluation.purpose == "validation")
    training = (Episode.run_id == run_id) & Episode.evaluation_id.is_(None)
    session.execute(delete(Metric).where(Metric.run_id == run_id, Metric.step > step))
    session.execute(delete(Episode).where(training, Episode.step > step))
    session.execute(delete(Evaluation).where(validation, Evaluation.step > step))
    return session.scalar(select(func.max(Evaluation.accuracy)).where(validation))
