"""Several workers of one search on this machine, each a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from .signals import passed_on
from .threads import cores

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What tells a process how many cores it has."""


def together(count: int, command: Sequence[str]) -> int:
    """Run a command `count` times at once, with the cores shared out; returns the first
    exit code that is not 0. What interrupts this process interrupts them: they leave
    checkpoints."""
    share = str(max(cores() // count, 1))
    environment = {**dict.fromkeys(THREADS, share), **os.environ}
    workers = [subprocess.Popen(command, env=environment) for _ in range(count)]

    def ask(number: int) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    with passed_on(ask):
        codes = [worker.wait() for worker in workers]
    return next((128 - code if code < 0 else code for code in codes if code), 0)
