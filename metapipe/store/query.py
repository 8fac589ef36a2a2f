"""What is read from the store: each function asks one question in a session."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.exc import DataError, ProgrammingError
from sqlalchemy.orm import Session, aliased, selectinload

from ..errors import FilterError, NotFoundError, did_you_mean
from ..printable import is_text
from . import schema
from .checkpoint_names import in_order
from .convert import episode_row, evaluation_row, record, run_row, with_recipe
from .database import reason
from .fields import episode_fields, run_fields
from .filters import order_by, parse
from .liveness import status
from .paging import LARGEST, Page, hardest_behind
from .records import (
    CheckpointRow,
    EpisodeRow,
    EvaluationRow,
    Met,
    MetricRow,
    PruningRow,
    RunRow,
)

LARGEST_ID = 2**31 - 1
"""Larger ones the databases refuse to look for."""

SHOWN = 200
"""Characters of a name that a message quotes."""

DIGITS = 18
"""Longer numbers Python takes long to read, and are no run's."""


def run(session: Session, ref: int | str) -> RunRow:
    """A run by id, by name (the newest of that name), or as "latest"."""
    newest = _runs(status(session)).order_by(schema.Run.id.desc()).limit(1)
    text = unicodedata.normalize("NFC", str(ref).strip())
    if text.isdecimal():
        number = int(text[-DIGITS:]) if text[:-DIGITS].strip("0") == "" else LARGEST_ID
        chosen = newest.where(schema.Run.id == min(number, LARGEST_ID))
    elif text == "latest":
        chosen = newest
    else:
        names = filter(is_text, {text, str(ref)})
        chosen = newest.where(schema.Run.name.in_(names))
    found = session.execute(chosen).one_or_none()
    if found is None:
        known = session.scalars(select(schema.Run.name).distinct())
        hint = did_you_mean(text, [name for name in known if name])
        near = hint if hint.startswith("did") else "see 'metapipe runs list'"
        raise NotFoundError(f"no run '{text[:SHOWN]}' in this store; {near}")
    return run_row(*found)


def runs(session: Session, where: str, sort: str, page: Page) -> list[RunRow]:
    """Runs that match a filter, sorted; of equals the newest first."""
    current, key = status(session), schema.Run.id
    known = run_fields(current)
    query = _runs(current).where(parse(where, known), page.behind(sort, key))
    query = page.cut(query.order_by(*order_by(sort, known), key.desc()))
    return [run_row(*row) for row in _filtered(session, query, where)]


def trials(session: Session, study: str) -> dict[int, tuple[int, str]]:
    """Id and status of the newest run of each trial of a search."""
    table = schema.Run
    asked = select(table.trial, table.id, status(session)).where(table.study == study)
    rows = session.execute(asked.order_by(table.id)).all()
    return {trial: (run_id, now) for trial, run_id, now in rows if trial is not None}


def of_job(session: Session, job: str) -> RunRow | None:
    """The newest run of a job."""
    newest = _runs(status(session)).where(schema.Run.job == job)
    found = session.execute(newest.order_by(schema.Run.id.desc()).limit(1)).first()
    return None if found is None else run_row(*found)


def count_runs(session: Session, where: str) -> int:
    """How many runs match a filter."""
    condition = parse(where, run_fields(status(session)))
    query = select(func.count()).select_from(schema.Run).where(condition)
    return int(_filtered(session, query, where)[0][0])


def metrics(
    session: Session, run_id: int, name: str | None, most: int | None
) -> list[MetricRow]:
    """Figures by step, of one name or all; of each name at most so many, which are
    means over equal stretches of steps."""
    table = schema.Metric
    mine = table.run_id == run_id
    if name is not None:
        mine &= table.name == name
    if most is None:
        rows = session.scalars(
            select(table).where(mine).order_by(table.name, table.step)
        )
        return [record(MetricRow, row) for row in rows]
    last = session.scalar(select(func.max(table.step)).where(mine)) or 0
    stretch = (table.step - 1) // (-(-last // most) or 1)
    means = select(table.name, func.max(table.step), func.avg(table.value)).where(mine)
    means = means.group_by(table.name, stretch).order_by(table.name, stretch)
    return [
        MetricRow(run_id, step, figure, float(mean))
        for figure, step, mean in session.execute(means)
    ]


def evaluations(session: Session, run_id: int) -> list[EvaluationRow]:
    """All evaluations of a run, oldest first."""
    table = schema.Evaluation
    query = select(table).where(table.run_id == run_id).order_by(table.id)
    return [evaluation_row(row) for row in session.scalars(query)]


def evaluation(session: Session, evaluation_id: int) -> EvaluationRow:
    """The evaluation of that id. Raises NotFoundError."""
    row = session.get(schema.Evaluation, min(evaluation_id, LARGEST_ID))
    if row is None:
        raise NotFoundError(
            f"no evaluation {evaluation_id} in this store; see 'metapipe runs show RUN'"
        )
    return evaluation_row(row)


def require_of_run(session: Session, run_id: int, evaluation_id: int) -> None:
    """Raise NotFoundError for an evaluation that is not of that run."""
    if evaluation(session, evaluation_id).run_id != run_id:
        raise NotFoundError(
            f"run {run_id} has no evaluation {evaluation_id}; see 'metapipe runs show "
            f"{run_id}'"
        )


def checkpoints(session: Session, run_id: int) -> list[CheckpointRow]:
    """The best checkpoints, the very best first, and the latest."""
    table = schema.Checkpoint
    rows = session.scalars(select(table).where(table.run_id == run_id))
    return [
        record(CheckpointRow, row)
        for row in sorted(rows, key=lambda row: in_order(row.which))
    ]


def prunings(session: Session, run_id: int) -> list[PruningRow]:
    """What was pruned of a run, oldest first."""
    table = schema.Pruning
    query = select(table).where(table.run_id == run_id).order_by(table.id)
    return [record(PruningRow, row) for row in session.scalars(query)]


def episodes(
    session: Session,
    run_id: int,
    where: str,
    sort: str,
    page: Page,
    evaluation: int | None = None,
) -> list[EpisodeRow]:
    """Episodes of a run, or of an evaluation, that match a filter, sorted."""
    known, key = episode_fields(), schema.Episode.id
    mine = _episodes_of(run_id, evaluation)
    query = mine.where(parse(where, known), page.behind(sort, key))
    query = page.cut(query.order_by(*order_by(sort, known), key))
    return [episode_row(*row) for row in _filtered(session, query, where)]


def count_episodes(session: Session, run_id: int, where: str) -> int:
    """How many episodes of a run match a filter."""
    table = schema.Episode
    query = select(func.count()).select_from(table).where(table.run_id == run_id)
    if where.strip():  # which may ask for the recipe, a join for every episode
        matching = _episodes_of(run_id).where(parse(where, episode_fields()))
        query = select(func.count()).select_from(matching.subquery())
    return int(_filtered(session, query, where)[0][0])


def hardest(
    session: Session,
    run_id: int,
    where: str,
    page: Page,
    evaluation: int | None = None,
) -> list[EpisodeRow]:
    """Those of the lowest accuracy; of equals those of the greatest loss first."""
    table = schema.Episode
    mine = _episodes_of(run_id, evaluation)
    query = mine.where(parse(where, episode_fields()))
    query = query.order_by(table.accuracy, table.loss.desc(), table.id)
    found: list[EpisodeRow] = []
    for behind in hardest_behind(session, page.after):
        wanted = None if page.limit is None else page.limit - len(found)
        part = Page(wanted, page.offset).cut(query.where(behind))
        found += [episode_row(*row) for row in _filtered(session, part, where)]
    return found


def episode(session: Session, episode_id: int) -> EpisodeRow:
    """The episode of that id, with its recipe. Raises NotFoundError."""
    query = with_recipe().where(schema.Episode.id == min(episode_id, LARGEST))
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(
            f"no episode {episode_id} in this store; see 'metapipe episodes list RUN'"
        )
    return episode_row(*row)


def pairs(session: Session, one: int, other: int) -> list[Met]:
    """Losses and accuracies in two evaluations of the episodes that both have."""
    a, b = aliased(schema.Episode), aliased(schema.Episode)
    same = and_(
        *(
            getattr(a, name) == getattr(b, name)
            for name in ("index", "ways", "shots", "queries")
        ),
        a.support.is_not_distinct_from(b.support),
    )
    query = select(a.loss, b.loss, a.accuracy, b.accuracy).join(b, same)
    ours = query.where(a.evaluation_id == one, b.evaluation_id == other)
    found = session.execute(ours.order_by(a.index))
    return [
        Met((first, second), None if x is None or y is None else (x, y))
        for first, second, x, y in found
    ]


def _runs(current: ColumnElement[Any]) -> Select[Any]:
    """Runs with their tags, and their status of now."""
    query: Select[Any] = select(schema.Run, current)
    return query.options(selectinload(schema.Run.tags))


def _episodes_of(run_id: int, evaluation: int | None = None) -> Select[Any]:
    """Of a run, or of one evaluation: its few have an index of their own, which leads
    past the millions of training."""
    if evaluation is None:
        return with_recipe().where(schema.Episode.run_id == run_id)
    return with_recipe().where(schema.Episode.evaluation_id == evaluation)


def _filtered(session: Session, query: Select[Any], where: str) -> list[Any]:
    """The rows; a comparison that the database cannot make is the filter's fault."""
    with understood(where):
        return list(session.execute(query))


@contextmanager
def understood(where: str) -> Iterator[None]:
    """Turn what the database cannot compare into an error of the filter."""
    try:
        yield
    except (DataError, ProgrammingError) as error:
        raise FilterError(f"cannot apply '{where[:SHOWN]}': {reason(error)}") from error
