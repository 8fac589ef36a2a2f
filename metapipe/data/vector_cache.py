"""Vectors that a frozen network made, kept by what they were made of.

A database of SQLite for each network, in the cache's folder `vectors`: several
processes may use one, and removing it costs no more than the time to make them again.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..cache import cache_dir

Vector = NDArray[np.float32]

MOST = 2**30
"""Bytes of the vectors of one network; the oldest give way."""

PATIENCE = 10.0
"""Seconds that another process may take to write."""

CHECK = 8
"""Bytes of a hash behind each vector: the machine may have died while writing."""

TABLE = (
    "CREATE TABLE IF NOT EXISTS vectors "
    "(id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, vector BLOB NOT NULL)"
)

logger = logging.getLogger("metapipe")


class VectorCache:
    """Vectors (width,) of one network, by a key: a context manager, for one thread.

    Where the folder cannot be written, or the file is damaged, all goes on without.
    """

    def __init__(self, network: str, width: int) -> None:
        """`network` says all that vectors depend on, and can be a file's name."""
        self._path = cache_dir() / "vectors" / f"{network}.db"
        self._bytes = 4 * width
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self._path, timeout=PATIENCE, isolation_level=None
            )
            self._database.execute("PRAGMA synchronous=OFF")  # what is lost is made
            self._database.execute(TABLE)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def get(self, key: str, make: Callable[[], Vector]) -> Vector:
        """The vector of this key, made if it is not kept."""
        found = self._kept(key)
        if found is None:
            found = make()
            self._keep(key, found)
        return found

    def _kept(self, key: str) -> Vector | None:
        asked = "SELECT vector FROM vectors WHERE key = ?"
        try:
            row = self._database and self._database.execute(asked, (key,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        content = row[0] if row else b""
        vector, check = content[: self._bytes], content[self._bytes :]
        if len(vector) != self._bytes or check != _check(vector):
            return None
        return np.frombuffer(vector, "<f4").astype(np.float32)

    def _keep(self, key: str, vector: Vector) -> None:
        content = vector.astype("<f4").tobytes()
        row = (key, content + _check(content))
        try:
            if self._database is not None:
                added = self._database.execute(
                    "INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", row
                )
                self._bound(self._database, added.lastrowid or 0)
        except sqlite3.Error as error:
            self._give_up(error)

    def _bound(self, database: sqlite3.Connection, newest: int) -> None:
        """Forget the oldest, as rows are numbered in the order of their coming."""
        most = max(MOST // (self._bytes + CHECK), 1)
        database.execute("DELETE FROM vectors WHERE id <= ?", (newest - most,))

    def _give_up(self, error: Exception) -> None:
        """Go on without it; what is no database is removed, for the next time."""
        logger.debug("vectors are not cached: %s: %s", self._path, error)
        self.__exit__()
        damaged = isinstance(error, sqlite3.DatabaseError)
        if damaged and not isinstance(error, sqlite3.OperationalError):
            with suppress(OSError):
                Path(self._path).unlink()


def _check(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=CHECK).digest()
