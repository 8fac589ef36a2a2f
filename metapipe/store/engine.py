"""Connecting to SQLite or Postgres."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    StaticPool,
    create_engine,
    event,
)
from sqlalchemy.exc import NoSuchModuleError

from ..errors import StoreError
from .address import NOWHERE, read
from .schema import Base

NETWORK = re.compile("nfs.?|cifs|smb.*|9p|afs|ceph|lustre|beegfs|gpfs|fuse[.]sshfs")
"""File systems that several machines may write: SQLite's log (WAL) is for one."""

logger = logging.getLogger("metapipe")

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


def connect(url: str) -> Engine:
    """An engine for `url`; nothing is opened yet.

    Raises StoreUrlError, or StoreError where a driver is missing.
    """
    if url == NOWHERE:
        return _empty()
    parsed = read(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgres(parsed)


def make_room(url: str) -> None:
    """Make the folder of a SQLite file that will be written; tell of a disk that other
    machines may write. Raises StoreError."""
    parsed = read(url)
    if parsed.get_backend_name() != "sqlite" or parsed.query.get("mode") == "ro":
        return
    path = Path(str(parsed.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the folder of {path}: {error.strerror}"
        ) from error
    if _writable(path) and (kind := _network(path)):
        logger.warning(
            "%s is on a network disk (%s), where SQLite is safe from one machine only: "
            "use a local disk, or Postgres",
            path,
            kind,
        )


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
    path = Path(str(url.database))
    if url.query.get("mode") != "ro" and _writable(path):
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    else:  # asked anew for each question: a writer may have come or gone
        engine = create_engine(url.set(query={}), poolclass=NullPool)
        event.listen(engine, "do_connect", lambda *_: _open_to_read(path))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _empty() -> Engine:
    """The tables with nothing in them, in memory."""
    engine = create_engine(
        NOWHERE, poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    Base.metadata.create_all(engine)
    return engine


@lru_cache
def _network(path: Path) -> str | None:
    """The kind of file system that a file is on, if others may write there too."""
    import psutil  # takes a while, and who reads needs none

    try:
        disks = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return None
    below = [disk for disk in disks if path.is_relative_to(disk.mountpoint)]
    nearest = max(below, key=lambda disk: len(disk.mountpoint), default=None)
    if nearest is None or not NETWORK.fullmatch(nearest.fstype.lower()):
        return None
    return str(nearest.fstype)


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
    # SQLite's own knows the letters of English only; for ~, which ignores case.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


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
    options = {k: v for k, v in ALIVE.items() if k not in url.query}
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=options)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "Postgres needs a driver: pip install 'metapipe[postgres]'"
        ) from error
