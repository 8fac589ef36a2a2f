"""What is pruned of a run: rows go, and that they went is remembered."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from . import schema
from .checkpoint_names import in_order
from .convert import record
from .liveness import now, require_still
from .pruning_rule import PruningRule
from .records import CheckpointRow, PruningRow
from .schema import Checkpoint, Episode, Evaluation, Run

Episodes = list[tuple[int | None, int]]
"""How many, by evaluation; None is training."""


def prunable(
    session: Session, run_id: int, rule: PruningRule
) -> tuple[list[CheckpointRow], Episodes]:
    """What a rule takes of a run."""
    return _checkpoints(session, run_id, rule), _episodes(session, run_id, rule)


def prune(
    session: Session, run_id: int, rule: PruningRule
) -> tuple[list[CheckpointRow], Episodes]:
    """Take that. Raises UsageError if a process is at the run, NotFoundError."""
    require_still(session, run_id)
    checkpoints, episodes = prunable(session, run_id, rule)
    for row in checkpoints:
        _forget_checkpoint(session, row, str(rule))
    for evaluation_id, count in episodes:
        _forget_episodes(session, run_id, evaluation_id, count, str(rule))
    return checkpoints, episodes


def _checkpoints(
    session: Session, run_id: int, rule: PruningRule
) -> list[CheckpointRow]:
    """Those that are older, but for the one to be kept; a run that has only another
    keeps that."""
    before, keep = rule.checkpoints_before, rule.keep
    if before is None:
        return []
    query = select(Checkpoint).where(Checkpoint.run_id == run_id)
    rows = list(session.scalars(query.order_by(Checkpoint.which)))
    kept = {row.which for row in rows}
    spared = (
        keep
        if keep in kept
        else min(kept, key=in_order, default=None)
        if keep
        else None
    )
    old = (row for row in rows if row.created < before and row.which != spared)
    return [record(CheckpointRow, row) for row in old]


def _episodes(session: Session, run_id: int, rule: PruningRule) -> Episodes:
    """Those of older evaluations, and of training if the run has not been heard of
    since."""
    before = rule.episodes_before
    if before is None:
        return []
    found: Episodes = []
    own = Episode.run_id == run_id
    count = select(func.count()).select_from(Episode)
    heartbeat = session.scalar(select(Run.heartbeat).where(Run.id == run_id))
    if heartbeat is not None and heartbeat < before:
        training = session.scalar(count.where(own, Episode.evaluation_id.is_(None)))
        found.append((None, training or 0))
    older = select(Evaluation.id).where(
        Evaluation.run_id == run_id, Evaluation.created < before
    )
    for number in session.scalars(older.order_by(Evaluation.id)):
        its = session.scalar(count.where(Episode.evaluation_id == number))
        found.append((number, its or 0))
    return [(number, many) for number, many in found if many]


def _forget_checkpoint(session: Session, row: CheckpointRow, rule: str) -> None:
    """The row of a checkpoint goes; its file is the caller's to remove."""
    same = (Checkpoint.run_id == row.run_id) & (Checkpoint.which == row.which)
    session.execute(delete(Checkpoint).where(same))
    _remember(
        session, PruningRow(row.run_id, None, row.which, now(), 1, row.bytes, rule)
    )


def _forget_episodes(
    session: Session, run_id: int, evaluation_id: int | None, count: int, rule: str
) -> None:
    """The episodes of an evaluation go, or those of training; figures stay."""
    own = Episode.run_id == run_id
    theirs = Episode.evaluation_id == evaluation_id  # of None: IS NULL
    session.execute(
        delete(Episode).where(own, theirs).execution_options(synchronize_session=False)
    )
    _remember(
        session, PruningRow(run_id, evaluation_id, "episodes", now(), count, 0, rule)
    )


def _remember(session: Session, row: PruningRow) -> None:
    session.execute(insert(schema.Pruning), [vars(row)])
