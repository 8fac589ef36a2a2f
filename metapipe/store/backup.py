"""A store copied into one SQLite file, as it is at one moment, whoever writes to it.

SQLite copies its pages by itself, at any revision and with whatever else is in the
file. From Postgres the rows of our tables are copied, as one transaction sees them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import insert, select

from ..errors import StoreError, UsageError, WriteError
from ..whole_file import whole_file
from .database import Database
from .transfer import BATCH, TABLES

RUNS = "runs"
"""The folder beside the file in which it names the files of its runs."""

PATHS = (("runs", "directory", 1), ("checkpoints", "path", 2))
"""Where there are paths, and how many parts of each stay."""


@contextmanager
def backing_up(database: Database, path: Path, *, force: bool) -> Iterator[Path]:
    """A copy of the store, which becomes the file `path` in the end: whole, or not at
    all if anything goes wrong before.

    It names the files of runs in `runs/` beside it, whether they are there or not, and
    so never those of the store. Raises UsageError if there is a file already, unless
    by `force`; WriteError, StoreError.
    """
    require_place(database, path, "backup", force=force)
    with whole_file(path) as file:
        aside = Path(file.name)
        try:
            if database.home is None:
                _copy_rows(database, aside)
            else:
                _copy_pages(database, aside)
            _settle(aside)
        except sqlite3.Error as error:
            raise WriteError(f"cannot write {path}: {error}") from error
        yield aside


def require_place(database: Database, path: Path, what: str, *, force: bool) -> None:
    """Raise UsageError where no `what`, a backup or an export, should be written."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file for the {what}")
    store = database.engine.url.database
    if database.home and store and path.exists() and path.samefile(store):
        raise UsageError(f"{path} is the store itself: name another file")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file: name another for the {what}")
    if path.exists() and not force:
        raise UsageError(f"there is a file {path} already: --force replaces it")


def _copy_pages(database: Database, aside: Path) -> None:
    with database.translated():
        source = database.engine.raw_connection()
    try:
        with closing(sqlite3.connect(aside)) as target:
            driver: Any = source.driver_connection
            driver.backup(target)
    except sqlite3.DatabaseError as error:
        if "full" in str(error):
            raise
        raise StoreError(f"the store {database.masked} failed: {error}") from error
    finally:
        source.close()


def _copy_rows(database: Database, aside: Path) -> None:
    from .migrate import upgrade

    url = f"sqlite:///{aside}"
    upgrade(url)
    with closing(Database(url)) as target, database.snapshot() as source:
        for table in TABLES.values():
            columns = table.__table__
            query = select(columns).order_by(*columns.primary_key)
            found = source.execute(query.execution_options(yield_per=BATCH))
            for rows in found.mappings().partitions():
                batch = [dict(row) for row in rows]
                target.write(
                    lambda session, _, batch=batch, columns=columns: session.execute(  # type: ignore[misc]  # of this round
                        insert(columns), batch
                    )
                )


def _settle(aside: Path) -> None:
    """One file without a log, sound, whose paths lead beside it."""
    with closing(sqlite3.connect(aside, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode=DELETE")
        target.execute("PRAGMA synchronous=FULL")
        (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(
                f"the store is damaged, and so would its backup be: {found}"
            )
        names = {row[0] for row in target.execute("SELECT name FROM sqlite_master")}
        if not {"runs", "checkpoints"} <= names:
            return
        target.execute("BEGIN")
        for table, column, parts in (
            ("runs", "directory", 1),
            ("checkpoints", "path", 2),
        ):
            for rowid, kept in target.execute(
                f"SELECT rowid, {column} FROM {table}"
            ).fetchall():
                beside = PurePosixPath(RUNS, *PurePosixPath(kept).parts[-parts:])
                target.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
                    (str(beside), rowid),
                )
        target.execute("COMMIT")
