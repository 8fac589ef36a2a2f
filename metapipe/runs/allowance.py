"""How many training episodes are kept as a sample: a rate that no store drowns in."""

from __future__ import annotations

import time

RATE = 20.0
"""Episodes a second, in the long run: 64 runs for a day are a hundred million."""

AT_ONCE = 10_000
"""Episodes that may be kept before the rate counts: all of a short training."""


class Allowance:
    """What may be kept: it grows with time, up to a limit."""

    def __init__(self, rate: float = RATE, at_once: int = AT_ONCE) -> None:
        self._rate, self._at_once = rate, at_once
        self._left, self._since = float(at_once), time.monotonic()

    def takes(self, episodes: int) -> bool:
        """Whether so many more may be kept, which are counted then."""
        moment = time.monotonic()
        grown = self._left + self._rate * (moment - self._since)
        self._left, self._since = min(grown, self._at_once), moment
        wanted = min(episodes, self._at_once)
        if self._left < wanted:
            return False
        self._left -= wanted
        return True
