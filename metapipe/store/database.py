"""A database in use: its transactions, and its errors in one line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import StoreError, UnreachableError
from .address import home, mask, without_secrets
from .engine import connect, writing
from .waiting import BRIEF, WAIT, Result, is_passing, patiently


class Database:
    """The database at a URL; nothing is opened before it is used.

    All its methods raise StoreError, in one line and without the password, if the
    database cannot be reached or used.
    """

    def __init__(self, url: str, wait: float = WAIT) -> None:
        self.wait = wait
        """Seconds that a writer waits for a database that cannot be reached."""

        self.engine = connect(url)
        self.masked = mask(url)
        self.home = home(self.engine.url)
        self.runs: Path | None = None
        """Where runs are looked for that are no longer where they were."""

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def kept(self, path: str | Path) -> str:
        """A path as the database keeps it: relative to its home where it lies below,
        so that the folder of a project can be moved."""
        if self.home is None:
            return str(path)
        for whole in (Path(path).absolute(), Path(path).resolve()):
            if whole.is_relative_to(self.home):
                return whole.relative_to(self.home).as_posix()
        return str(path)

    def found(self, kept: str) -> str:
        """Where that path is now: where it was kept, or if it is not there, among the
        runs of a project that was moved. What is kept as beside the store, as in a
        backup, is nowhere else."""
        place = Path(kept) if self.home is None else self.home / kept
        gone = not kept.startswith("runs/") and not os.path.exists(place)
        if self.runs is not None and gone:
            _, below, name = place.as_posix().rpartition("/runs/")
            if below and os.path.exists(self.runs / name):
                return str(self.runs / name)
        return str(place)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that changes nothing."""
        with Session(self.engine) as session:
            patiently(lambda _: self._begin(session), lambda: BRIEF, tell=False)
            with self.translated():
                yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Questions that all see the store as it is at the first of them."""
        engine = self.engine
        if engine.dialect.name == "postgresql":  # SQLite does so by itself
            engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with Session(engine) as session:
            patiently(lambda _: self._begin(session), lambda: BRIEF, tell=False)
            with self.translated():
                yield session

    def write(
        self,
        work: Callable[[Session, bool], Result],
        *,
        durable: bool = True,
        wait: float | None = None,
    ) -> Result:
        """One transaction: committed at the end, or not at all.

        Where the database goes away meanwhile, `work` is done again, and told so: it
        may have been committed before, and the answer lost. Raises UnreachableError if
        the database is away for longer than `wait`.
        """

        def attempt(again: bool) -> Result:
            engine = writing(self.engine, durable)
            with (
                self.translated(),
                Session(engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                return work(session, again)

        return patiently(attempt, lambda: self.wait if wait is None else wait)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the database's errors into one line."""
        try:
            yield
        except (SQLAlchemyError, UnicodeEncodeError) as error:
            if is_passing(error):
                raise UnreachableError(
                    f"the store {self.masked} cannot be reached: {self._reason(error)}"
                ) from error
            if _is_refused(error):
                raise StoreError(
                    f"the store {self.masked} is read-only: it was opened with "
                    "mode=ro, or its file or folder is not yours to write"
                ) from error
            raise StoreError(
                f"the store {self.masked} failed: {self._reason(error)}"
            ) from error

    def _begin(self, session: Session) -> None:
        with self.translated():
            session.connection()

    def _reason(self, error: Exception) -> str:
        return without_secrets(reason(error), self.engine.url)


def _is_refused(error: Exception) -> bool:
    """Whether SQLite may not write."""
    code: int = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_READONLY


def reason(error: Exception) -> str:
    """What the database says, in one line."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
