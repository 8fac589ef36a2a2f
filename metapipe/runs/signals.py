"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .reporter import logger


class Interruption:
    """Set once SIGINT or SIGTERM arrives; a second one interrupts at once."""

    def __init__(self, noticed: Callable[[], None]) -> None:
        self.requested = False
        self._noticed = noticed

    def __bool__(self) -> bool:
        return self.requested

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._noticed()
        logger.warning("stopping after this iteration, with a checkpoint")


@contextmanager
def interruptible(noticed: Callable[[], None]) -> Iterator[Interruption]:
    """Turn the first SIGINT or SIGTERM into a request (only in the main thread), of
    which `noticed` hears at once."""
    interruption = Interruption(noticed)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interruption._notice) for number in numbers]
    try:
        yield interruption
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
