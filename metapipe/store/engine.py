"""Connecting to SQLite or Postgres."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import StoreError, StoreUrlError

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another."""

READ, WRITE = "DEFERRED", "IMMEDIATE"
"""How transactions begin on SQLite."""

DURABLE, SWIFT = "FULL", "NORMAL"
"""How they end there: on disk, or at the latest with the next durable one."""

ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Postgres's options to notice a server that went away without a word, within a minute;
those of the URL hold before them."""

NEEDED = "use sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def default_url(directory: Path) -> str:
    """The store of a project: SQLite in `.metapipe/` beside its config file."""
    return f"sqlite:///{directory.resolve() / '.metapipe' / 'metapipe.db'}"


def mask(url: str) -> str:
    """The URL without its password, which may also be among the options."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "(unreadable URL)"
    secret = {name: "***" for name in parsed.query if "pass" in name.lower()}
    masked = parsed.update_query_dict(secret).render_as_string(hide_password=True)
    return masked.replace("%2A%2A%2A", "***")


def require_file(url: str) -> None:
    """Raise StoreError if `url` is a SQLite file that is not there."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return  # told of when it is opened
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    if parsed.database != ":memory:" and not Path(parsed.database).exists():
        raise StoreError(
            f"there is no task store at {parsed.database}: check --db, or train a run"
        )


def home(url: URL) -> Path | None:
    """The folder that a store lies in; None for one on a server."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database).resolve().parent


def connect(url: str) -> Engine:
    """An engine for `url`; nothing is opened yet.

    Raises StoreUrlError, or StoreError where a folder or a driver is missing.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        hint = f" (for a file: sqlite:///{url})" if set("@:").isdisjoint(url) else ""
        raise StoreUrlError(
            f"the store's URL cannot be read: {NEEDED}{hint}"
        ) from error
    family = parsed.get_backend_name()
    if family == "sqlite":
        return _sqlite(parsed)
    if family in ("postgresql", "postgres"):
        return _postgres(parsed)
    raise StoreUrlError(f"no store for '{family}' URLs: {NEEDED}")


def writing(engine: Engine, durable: bool = True) -> Engine:
    """The engine for transactions that write: on SQLite they take their turn first.

    Begun as a reader, a writer could not wait for another: SQLite refuses at once to
    let a stale snapshot be written to. After a power cut a transaction that was not
    `durable` may be missing there, with all that came after it.
    """
    return engine.execution_options(
        begin=WRITE, synchronous=DURABLE if durable else SWIFT
    )


def migrating(engine: Engine) -> Engine:
    """The engine for migrations: on SQLite without foreign keys.

    A SQLite table is altered by making it anew and dropping the old one, which would
    take along all rows that refer to it.
    """
    return engine.execution_options(begin=WRITE, foreign_keys="OFF")


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreUrlError("the store has to outlive the process: use sqlite:///FILE")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the folder of {url.database}: {error.strerror}"
        ) from error
    path = Path(url.database)
    if _writable(path):
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    else:  # asked anew for each question: a writer may have come or gone
        engine = create_engine(url, poolclass=NullPool)
        event.listen(engine, "do_connect", lambda *_: _open_to_read(path))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _writable(path: Path) -> bool:
    """Whether we may write the file, and beside it, where SQLite keeps its log."""
    return os.access(path.parent, os.W_OK) and (
        not path.exists() or os.access(path, os.W_OK)
    )


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A database that we may not write.

    In WAL mode SQLite reads it with the log that a writer keeps beside it. Where nobody
    writes there is none, and we may not make it: then the file is all there is.
    """
    log = Path(f"{path}-wal")
    logged = log.exists() and log.stat().st_size > 0
    address = f"{path.absolute().as_uri()}?mode=ro" + "&immutable=1" * (not logged)
    return sqlite3.connect(
        address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )


def _prepare(connection: Any, _: object) -> None:
    # Python's driver begins no transaction for DDL, and so cannot undo it: we begin
    # all transactions ourselves.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    begin, foreign_keys = options.get("begin", READ), options.get("foreign_keys", "ON")
    if begin == WRITE:  # readers and the writer do not wait for one another
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        synchronous = options.get("synchronous", DURABLE)
        connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    connection.exec_driver_sql(f"PRAGMA foreign_keys={foreign_keys}")
    connection.exec_driver_sql(f"BEGIN {begin}")


def _postgres(url: URL) -> Engine:
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    libpq = "psycopg" in url.drivername
    options = {k: v for k, v in ALIVE.items() if libpq and k not in url.query}
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=options)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "Postgres needs a driver: pip install 'metapipe[postgres]'"
        ) from error
