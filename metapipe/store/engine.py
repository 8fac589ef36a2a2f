"""Connecting to SQLite or Postgres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import StoreError, StoreUrlError

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another."""

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


def writing(engine: Engine) -> Engine:
    """The engine for transactions that write: on SQLite they take their turn first.

    Begun as a reader, a writer could not wait for another: SQLite refuses at once to
    let a stale snapshot be written to.
    """
    return engine.execution_options(begin="IMMEDIATE")


def migrating(engine: Engine) -> Engine:
    """The engine for migrations: on SQLite without foreign keys.

    A SQLite table is altered by making it anew and dropping the old one, which would
    take along all rows that refer to it.
    """
    return engine.execution_options(begin="IMMEDIATE", foreign_keys="OFF")


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreUrlError("the store has to outlive the process: use sqlite:///FILE")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the folder of {url.database}: {error.strerror}"
        ) from error
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    # Python's driver begins no transaction for DDL, and so cannot undo it: we begin
    # all transactions ourselves.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    foreign_keys = options.get("foreign_keys", "ON")
    connection.exec_driver_sql(f"PRAGMA foreign_keys={foreign_keys}")
    connection.exec_driver_sql(f"BEGIN {options.get('begin', 'DEFERRED')}")


def _postgres(url: URL) -> Engine:
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "Postgres needs a driver: pip install 'metapipe[postgres]'"
        ) from error
