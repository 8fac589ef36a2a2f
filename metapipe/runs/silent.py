"""The reporter of a process that does not lead: nobody hears of anything twice."""

from __future__ import annotations

from typing import Any


class Silent:
    """What `Reporter` tells the store and the observers, it tells nobody."""

    stops: None = None

    def step(self, *_: Any) -> None:
        """Figures of a meta-iteration."""

    advanced = evaluated = checkpoint = rescue = step

    def latest_step(self) -> None:
        """Who leads asks the store."""
