"""How much faster two processes train than one: interleaved rounds.

    env -u OMP_NUM_THREADS python benchmarks/processes.py --rounds 10 --minutes 10

Each has both cores and chooses its own task map, once: one process with two threads and
one part, two with one thread and a part each. Of each setup the median of the ratio of
training times, with quartiles; above 1 two are faster. The first stretch of a training
is left out, in which memory is got and code is loaded. It wants two idle cores, and
says the load; rounds that do not fit in the minutes are not begun, but for
two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from metapipe.store import TaskStore, default_url

GLYPHS = ("--dataset", "glyphs", "--ways", "5", "--shots", "1")
STRIDE = ("-s", "model.pooling=stride", "--queries", "1", "--tasks", "32")
POOLED = ("-s", "model.pooling=max", "--queries", "15", "--tasks", "4")
SETUPS = {
    "maml, stride, 1 query, 32 tasks": ("--plugin", "maml", *STRIDE),
    "maml, pooled, 15 queries, 4 tasks": ("--plugin", "maml", *POOLED),
    "protonet, pooled, 15 queries, 4 tasks": ("--plugin", "protonet", *POOLED),
}
EACH, STRETCHES = 5, 5
"""Iterations of a stretch, and how many there are."""

COMMON = (
    *(*GLYPHS, "--validate-every", "0", "-s", "evaluation.episodes=2"),
    *("--log-every", str(EACH), "--iterations", str(EACH * STRETCHES)),
)


def main() -> None:
    """Print a line a setup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default="", help="setups whose name has this")
    asked = parser.parse_args()
    setups = {name: each for name, each in SETUPS.items() if asked.only in name}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["METAPIPE_CACHE"] = cache
        for name, setup in setups.items():
            limit = time.monotonic() + 60 * asked.minutes / len(setups)
            report(name, setup, asked.rounds, limit)


def report(name: str, setup: tuple[str, ...], rounds: int, limit: float) -> None:
    """A line of a setup."""
    ratios, took = [], 0.0
    _, alone = trained(setup, 1)  # both choose, and are not counted
    _, shared = trained(setup, 2)
    while len(ratios) < 2 or (len(ratios) < rounds and time.monotonic() + took < limit):
        begun = time.monotonic()
        ratios.append(trained(setup, 1)[0] / trained(setup, 2)[0])
        took = time.monotonic() - begun
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{name}: {middle:.2f} [{low:.2f}, {high:.2f}] of {len(ratios)} rounds, "
        f"{alone} and {shared}, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def trained(setup: tuple[str, ...], processes: int) -> tuple[float, str]:
    """Seconds of all stretches but the first, and how tasks were mapped."""
    command = [sys.executable, "-m", "metapipe", "train", *setup, *COMMON]
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in threads}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*command, "--processes", str(processes)],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        with TaskStore.open(default_url(Path(folder))) as store:
            row = store.run(1)
            rates = [m.value for m in store.metrics(1, "episodes_per_second")]
    assert len(rates) == STRETCHES
    tasks = EACH * row.config["training"]["tasks"]
    return sum(tasks / rate for rate in rates[1:]), str(row.mapping)


if __name__ == "__main__":
    main()
