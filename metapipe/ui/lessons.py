"""What visitors have made: bounded in number and in age, and in memory only."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import NotFoundError

if TYPE_CHECKING:
    from ..adaptation.lesson import Lesson

MOST = 20
"""Lessons at a time; a further one takes the place of that which rested longest."""

AGE = 3600.0
"""Seconds after which a lesson that nobody touched is over."""


class Lessons:
    """Lessons by a key that only their visitor knows. Threads share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Lesson]] = OrderedDict()
        self._work = threading.Lock()

    @contextmanager
    def work(self) -> Iterator[None]:
        """One at a time decodes, learns and answers: each may take all cores, and up to
        half a gigabyte for a large picture."""
        with self._work:
            yield

    def begin(self, lesson: Lesson) -> str:
        """Keep a lesson; returns its key."""
        self._forget()
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)
        key = secrets.token_urlsafe(16)
        self._kept[key] = (self._clock(), lesson)
        return key

    def of(self, key: str) -> Lesson:
        """The lesson of a key. Raises NotFoundError if it is over."""
        self._forget()
        if key not in self._kept:
            raise NotFoundError("this lesson is over: load the page again for another")
        _, lesson = self._kept.pop(key)
        self._kept[key] = (self._clock(), lesson)
        return lesson

    def _forget(self) -> None:
        oldest = self._clock() - AGE
        while self._kept and next(iter(self._kept.values()))[0] < oldest:
            self._kept.popitem(last=False)
