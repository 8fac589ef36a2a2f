"""A database that cannot be reached for a while is waited for: its server restarts, the
network fails, or other writers hold it for long."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from ..errors import UnreachableError
from ..project_settings import StoreSettings

WAIT = StoreSettings().wait
"""Seconds that a writer waits, if nothing else is said."""

BRIEF = 3.0
"""Seconds that a reader waits: a person sits before it."""

FIRST, LONGEST = 0.1, 5.0
"""Seconds between two attempts: at first, and after many."""

PASSING = ("08", "53", "57P0", "40001", "40P01")
"""How those SQLSTATEs of Postgres begin that another attempt may not meet: connections,
resources, shutdowns, and transactions in each other's way."""

NOT_FOR_LONG = (
    "starting up",
    "shutting down",
    "recovery mode",
    "accepting connections",
    "too many",
    "slots are reserved",
    "terminating connection",
)
"""What Postgres says where it refuses a connection, and later would not."""

Result = TypeVar("Result")
logger = logging.getLogger("metapipe")


def patiently(
    attempt: Callable[[bool], Result], wait: Callable[[], float], *, tell: bool = True
) -> Result:
    """Do something until the database is there; `attempt` is told whether it did all of
    this before, and lost the answer.

    Raises the last UnreachableError after so many seconds, which may become fewer
    meanwhile.
    """
    begun, pause, again = time.monotonic(), FIRST, False
    while True:
        try:
            result = attempt(again)
        except UnreachableError as error:
            left = begun + wait() - time.monotonic()
            if left <= 0:
                raise
            if tell and not again:
                logger.warning("%s; waiting for it, up to %g s", error, wait())
            time.sleep(min(left, pause * random.uniform(0.5, 1)))
            pause, again = min(2 * pause, LONGEST), True
        else:
            if tell and again:
                waited = time.monotonic() - begun
                logger.warning("the store is back after %.1f s", waited)
            return result


def is_passing(error: Exception) -> bool:
    """Whether that error of the database may be gone at the next attempt."""
    if not isinstance(error, DBAPIError):
        return False
    cause, state = error.orig, getattr(error.orig, "sqlstate", None)
    if isinstance(cause, sqlite3.Error):
        code: int = getattr(cause, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_BUSY
    if state is not None:
        return str(state).startswith(PASSING)
    if error.connection_invalidated:
        return True
    refused = "FATAL" in str(cause)
    later = any(words in str(cause) for words in NOT_FOR_LONG)
    return isinstance(error, OperationalError | InterfaceError) and (
        later or not refused
    )
