"""Training time, which pauses do not count in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Training time: runs on from `seconds`, and can be paused."""

    def __init__(self, seconds: float) -> None:
        self._before = seconds
        self._since: float | None = time.perf_counter()
        self._lap = seconds

    def seconds(self) -> float:
        """Training time so far."""
        since = self._since
        return self._before + (0 if since is None else time.perf_counter() - since)

    def lap(self) -> float:
        """Training time since the last call."""
        now = self.seconds()
        passed, self._lap = now - self._lap, now
        return max(passed, 1e-9)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count what happens inside."""
        self._before, self._since = self.seconds(), None
        try:
            yield
        finally:
            self._since = time.perf_counter()
