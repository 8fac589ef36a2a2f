"""What visitors have made: bounded in number and in age, and in memory only."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from starlette.concurrency import run_in_threadpool

from ..errors import NotFoundError

if TYPE_CHECKING:
    from ..adaptation.lesson import Lesson

T = TypeVar("T")

MOST = 20
"""Lessons at a time; a further one takes the place of that which rested longest."""

AGE = 3600.0
"""Seconds after which a lesson that nobody touched is over."""


class Lessons:
    """Lessons by a key that only their visitor knows. Threads share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Lesson]] = OrderedDict()
        self._access = threading.Lock()
        self._turn = asyncio.Lock()

    async def in_turn(self, work: Callable[[], T]) -> T:
        """One at a time decodes, learns and answers, in a thread: each may take all
        cores, and up to half a gigabyte for a large picture. Who waits holds no thread,
        or there would soon be none left for the other pages."""
        async with self._turn:
            return await run_in_threadpool(work)

    def begin(self, lesson: Lesson) -> str:
        """Keep a lesson; returns its key."""
        key = secrets.token_urlsafe(16)
        with self._access:
            self._forget()
            while len(self._kept) >= MOST:
                self._kept.popitem(last=False)
            self._kept[key] = (self._clock(), lesson)
        return key

    def of(self, key: str) -> Lesson:
        """The lesson of a key. Raises NotFoundError if it is over."""
        with self._access:
            self._forget()
            if key not in self._kept:
                raise NotFoundError(
                    "this lesson is over: load the page again for another"
                )
            _, lesson = self._kept.pop(key)
            self._kept[key] = (self._clock(), lesson)
        return lesson

    def _forget(self) -> None:
        oldest = self._clock() - AGE
        while self._kept and next(iter(self._kept.values()))[0] < oldest:
            self._kept.popitem(last=False)
