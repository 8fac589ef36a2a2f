"""One process at a time, where several share a store and do what is more than a
transaction of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from filelock import FileLock, Timeout
from sqlalchemy import text

from ..errors import UnreachableError
from .database import Database

PATIENCE = 120.0
"""Seconds that a turn is waited for; each takes far less."""

NAMESPACE = 0x6D657461
"""Of our locks among all that Postgres's clients take by numbers."""


@contextmanager
def turn(database: Database, name: str) -> Iterator[None]:
    """Hold the lock `name` of a store: a file beside SQLite's, on a server an advisory
    lock. It ends with the process at the latest.

    Raises UnreachableError if others hold it for too long.
    """
    if database.home is None:
        key = crc32(name.encode()) - 2**31
        with database.translated(), database.engine.begin() as connection:
            waited = text(f"SET LOCAL lock_timeout = '{PATIENCE:.0f}s'")
            connection.execute(waited)
            taken = text("SELECT pg_advisory_xact_lock(:space, :key)")
            connection.execute(taken, {"space": NAMESPACE, "key": key})
            yield
        return
    lock = FileLock(f"{database.engine.url.database}.{name}.lock", timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout as error:
        raise UnreachableError(
            f"another process holds {lock.lock_file} for over {PATIENCE:.0f} s"
        ) from error
    try:
        yield
    finally:
        lock.release()
