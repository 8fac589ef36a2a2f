"""How much faster two processes train than one: interleaved rounds.

    python benchmarks/processes.py --rounds 10

Each chooses its own task map, with both cores: one process with two threads, two with
one thread each. Of each setup the median of the ratio of training times, with
quartiles; above 1 two are faster. It wants two idle cores, and says the load.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from metapipe.store import TaskStore, default_url

GLYPHS = ("--dataset", "glyphs", "--ways", "5", "--shots", "1")
POOLED = (
    *("-s", "model.pooling=max", "--queries", "15", "--tasks", "4"),
    *("--iterations", "20"),
)
SETUPS = {
    "maml, stride, 1 query, 32 tasks": (
        *(*GLYPHS, "--plugin", "maml", "-s", "model.pooling=stride"),
        *("--queries", "1", "--tasks", "32", "--iterations", "20"),
    ),
    "maml, pooled, 15 queries, 4 tasks": (*GLYPHS, "--plugin", "maml", *POOLED),
    "protonet, pooled, 15 queries, 4 tasks": (
        *(*GLYPHS, "--plugin", "protonet"),
        *POOLED,
    ),
}
COMMON = ("--shards", "2", "--validate-every", "0", "-s", "evaluation.episodes=2")


def main() -> None:
    """Print a line a setup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default="", help="setups whose name has this")
    asked = parser.parse_args()
    for name, setup in SETUPS.items():
        if asked.only not in name:
            continue
        ratios = []
        for _ in range(asked.rounds):
            one, two = seconds(setup, 1), seconds(setup, 2)
            ratios.append(one / two)
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{name}: {middle:.2f} [{low:.2f}, {high:.2f}] of {len(ratios)} rounds, "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def seconds(setup: tuple[str, ...], processes: int) -> float:
    """Of training, without what comes before and after."""
    command = [sys.executable, "-m", "metapipe", "train", *setup, *COMMON]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*command, "--processes", str(processes)],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        with TaskStore.open(default_url(Path(folder))) as store:
            return store.run(1).train_seconds or 0.0


if __name__ == "__main__":
    main()
