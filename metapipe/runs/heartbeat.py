"""A running run's sign of life."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ClaimError
from ..store import TaskStore
from .reporter import logger

HEARTBEAT_SECONDS = 10.0


@contextmanager
def heartbeat(store: TaskStore, run_id: int) -> Iterator[None]:
    """Let the store know, from a thread, that this process is alive."""
    ended = threading.Event()

    def beat() -> None:
        told = False
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                store.heartbeat(run_id)
                told = False
            except ClaimError:
                return  # the training hears of it when it next writes
            except Exception as error:  # the next beat may get through
                if not told:
                    logger.warning("no heartbeat for run %s: %s", run_id, error)
                told = True

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
