"""Signals that ask a run to stop."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger("metapipe")


class Interruption:
    """Set once SIGINT or SIGTERM arrives; a second one interrupts at once."""

    def __init__(self, noticed: Callable[[], None]) -> None:
        self.requested = False
        self._noticed = noticed
        self._at_once = False

    def __bool__(self) -> bool:
        return self.requested

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the first one, also if it came before: where
        nothing is lost by that."""
        self._at_once = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _notice(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first:
            self._noticed()
        if self._at_once or not first:
            raise KeyboardInterrupt
        logger.warning("stopping after this iteration, with a checkpoint")


@contextmanager
def passed_on(send: Callable[[int], None]) -> Iterator[None]:
    """Hand SIGTERM on by `send`, to processes that were started here. A terminal's
    Ctrl-C reaches them by itself, and a second signal would end them at once."""
    before = signal.signal(signal.SIGTERM, lambda number, _: send(number))
    ignored = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)


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
