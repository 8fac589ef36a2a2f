"""Connecting to SQLite or Postgres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import StoreError

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another."""

NEEDED = "use sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def default_url(directory: Path) -> str:
    """The store of a project: SQLite in `.metapipe/` beside its config file."""
    return f"sqlite:///{directory.resolve() / '.metapipe' / 'metapipe.db'}"


def mask(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(unreadable URL)"


def connect(url: str) -> Engine:
    """An engine for `url`; nothing is opened yet. Raises StoreError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"the store's URL cannot be read: {NEEDED}") from error
    family = parsed.get_backend_name()
    if family == "sqlite":
        return _sqlite(parsed)
    if family in ("postgresql", "postgres"):
        return _postgres(parsed)
    raise StoreError(f"no store for '{family}' URLs: {NEEDED}")


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreError("the store has to outlive the process: use sqlite:///FILE")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the folder of {url.database}: {error.strerror}"
        ) from error
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _postgres(url: URL) -> Engine:
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "Postgres needs a driver: pip install 'metapipe[postgres]'"
        ) from error
