"""The rows of runs on their way from one store to another.

A row travels as the name of its table and a dictionary of what JSON has: times are
written as ISO has them, and a checkpoint's path is the name of its file. Ids are those
of the store that it comes from, and become others where it arrives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..errors import DataError
from . import schema
from .columns import typed

TABLES: Mapping[str, type[schema.Base]] = {
    table.__tablename__: table
    for table in (
        *(schema.Run, schema.Tag, schema.Metric, schema.Evaluation),
        *(schema.Episode, schema.Checkpoint, schema.Pruning),
    )
}
"""In an order in which each refers to those before it."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When a run that arrived was last heard of in this store: it is lost at once."""

STATUSES = ("running", "completed", "interrupted", "stopped", "failed")
"""What is written of a run; `lost` is not."""

PARENT = "parent"
"""What a row of a run says beside its columns: the uid of the run that it repeats."""

BATCH = 2000
"""Rows read or written at once."""

Row = tuple[str, Mapping[str, Any]]


def uid(created: datetime, config: Mapping[str, Any]) -> str:
    """What a run is called in any store: when it began, and what it was asked."""
    asked = json.dumps(config, sort_keys=True).encode()
    return f"{created.isoformat()}/{hashlib.sha256(asked).hexdigest()[:16]}"


def uid_of(session: Session, run_id: int) -> str | None:
    """That of a run; None if there is none."""
    asked = select(schema.Run.created, schema.Run.config)
    found = session.execute(asked.where(schema.Run.id == run_id)).one_or_none()
    return None if found is None else uid(found.created, found.config)


def find(session: Session, wanted: str) -> int | None:
    """The run of that uid. Raises ValueError for what is none."""
    created = datetime.fromisoformat(wanted.partition("/")[0])
    table = schema.Run
    same = select(table.id, table.config).where(table.created == created)
    for run_id, config in session.execute(same.order_by(table.id)):
        if uid(created, config) == wanted:
            return int(run_id)
    return None


def rows(session: Session, run_ids: Iterable[int]) -> Iterator[Row]:
    """All rows of those runs, run by run, in the order of the tables."""
    for run_id in run_ids:
        for name, table in TABLES.items():
            key = table.id if table is schema.Run else table.run_id  # type: ignore[attr-defined]  # all others have it
            columns = table.__table__.columns
            query = select(*columns).where(key == run_id)
            query = query.order_by(*table.__table__.primary_key)
            found = session.execute(query.execution_options(yield_per=BATCH))
            for row in found.mappings():
                yield name, _departing(session, name, row)


def receive(
    session: Session,
    arriving: Iterable[Row],
    *,
    skip: Collection[str],
    place: Callable[[str], str],
) -> dict[str, int]:
    """Write rows that `rows` made, but for the runs whose uid is to be skipped; returns
    the new ids by uid.

    `place` says where the files of a run are now, as the store keeps it. Raises
    DataError for rows that cannot be.
    """
    arrival = _Arrival(session, skip, place)
    for name, row in arriving:
        arrival.take(name, row)
    return arrival.end()


class _Arrival:
    """Rows that are being written, and the ids that they get."""

    def __init__(
        self, session: Session, skip: Collection[str], place: Callable[[str], str]
    ) -> None:
        self.session, self.skip, self.place = session, skip, place
        self.runs: dict[int, int | None] = {}  # None: skipped
        self.directories: dict[int, str] = {}
        self.evaluations: dict[int, int] = {}
        self.parents: dict[int, tuple[int, str | None]] = {}
        self.new: dict[str, int] = {}
        self.table: type[schema.Base] = schema.Run
        self.waiting: list[dict[str, Any]] = []

    def take(self, name: str, row: Mapping[str, Any]) -> None:
        """One row. Raises DataError."""
        table = TABLES.get(name)
        if table is None:
            raise DataError(f"there is no table '{name}'")
        if table is not self.table or len(self.waiting) == BATCH:
            self.flush()
            self.table = table
        values = typed(table, {k: v for k, v in row.items() if k != PARENT})
        if table is schema.Run:
            self._take_run(values, row.get(PARENT))
        else:
            self._take_part(values)

    def end(self) -> dict[str, int]:
        """All are there: join those that refer to one another."""
        self.flush()
        for run_id, (old, parent) in self.parents.items():
            known = self.runs.get(old) or self._known(parent)
            if known is not None and known != run_id:
                same = update(schema.Run).where(schema.Run.id == run_id)
                self.session.execute(same.values(parent_id=known))
        return self.new

    def flush(self) -> None:
        """Write what waits."""
        if self.waiting:
            try:
                self.session.execute(insert(self.table.__table__), self.waiting)  # type: ignore[arg-type]  # a Table
            except IntegrityError as error:
                name = self.table.__tablename__
                raise DataError(f"rows of {name} contradict each other") from error
            self.waiting = []

    def _take_run(self, values: dict[str, Any], parent: Any) -> None:
        old, ancestor = values.pop("id"), values.pop("parent_id")
        if old in self.runs:
            raise DataError(f"run {old} comes twice")
        if values["status"] not in STATUSES:
            raise DataError(f"run {old} has the status '{values['status']}'")
        name = uid(values["created"], values["config"])
        if name in self.skip:
            self.runs[old] = None
            return
        if values["status"] == "running":  # elsewhere, and here no process is at it
            values["heartbeat"] = NEVER
        values["directory"] = self.place(name)
        run_id = self._insert(schema.Run, values)
        self.runs[old] = self.new[name] = run_id
        self.directories[run_id] = values["directory"]
        if ancestor is not None:
            self.parents[run_id] = (ancestor, parent)

    def _take_part(self, values: dict[str, Any]) -> None:
        try:
            run_id = self.runs[values["run_id"]]
            if run_id is None:
                return
            values["run_id"] = run_id
            if self.table is schema.Evaluation:
                old = values.pop("id")
                self.evaluations[old] = self._insert(schema.Evaluation, values)
                return
            if values.get("evaluation_id") is not None:
                values["evaluation_id"] = self.evaluations[values["evaluation_id"]]
        except KeyError as error:
            raise DataError(f"a row belongs to {error}, which is not there") from error
        if self.table is schema.Checkpoint:
            values["path"] = f"{self.directories[run_id]}/{values['path']}"
        values.pop("id", None)
        self.waiting.append(values)

    def _insert(self, table: type[schema.Base], values: Mapping[str, Any]) -> int:
        done = self.session.execute(insert(table.__table__).values(**values))  # type: ignore[arg-type]  # a Table
        return int(done.inserted_primary_key[0])  # type: ignore[attr-defined]  # of an insert

    def _known(self, parent: Any) -> int | None:
        if not isinstance(parent, str):
            return None
        try:
            return find(self.session, parent)
        except ValueError as error:
            raise DataError(f"'{parent}' is the name of no run") from error


def _departing(session: Session, name: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in row.items()
    }
    if name == "runs" and values["parent_id"] is not None:
        values[PARENT] = uid_of(session, values["parent_id"])
    if name == "checkpoints":
        values["path"] = Path(values["path"]).name
    return values


def count(session: Session) -> dict[str, int]:
    """How many rows each table has."""
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in TABLES.items()
    }
