"""Kill processes of a training at random moments; it has to end in the same bits.

    python benchmarks/kills.py --kills 20

Each round trains with two processes, kills one of them (SIGKILL) after a random time,
and compares all that the run left, but for times, with an undisturbed run's. Told is how
long after the kill training went on.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from metapipe.store import TaskStore, default_url
from metapipe.training.checkpoint import load

ITERATIONS = 2000

TRAINING = (
    *(sys.executable, "-m", "metapipe", "train", "--processes", "2", "--shards", "4"),
    *("--dataset", "digits", "--model", "mlp", "-s", "model.layers=[16]"),
    *("--ways", "3", "--queries", "4", "--tasks", "4", "--mapping", "loop"),
    *("-s", "evaluation.episodes=200", "--validation-episodes", "100"),
    *("--validate-every", "100", "--checkpoint-every", "20"),
    *("--iterations", str(ITERATIONS)),
)

PATIENCE = 300.0
"""Seconds until a round has failed."""


@dataclass(frozen=True)
class Round:
    """What became of a training one of whose processes was killed."""

    rank: int
    at: int
    """The iteration of the last checkpoint before."""

    code: int
    same: bool
    again: float | None
    """Seconds until the next checkpoint."""

    restarts: int


def main() -> int:
    """Exit code 0 if all rounds ended alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        train(Path(folder)).wait()
        whole, seconds = left(Path(folder)), time.monotonic() - begun
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    rounds = []
    for number in range(asked.kills):
        with tempfile.TemporaryDirectory() as folder:
            rank, moment = draw.randrange(2), draw.uniform(0, 0.8 * seconds)
            found = disturbed(Path(folder), rank, moment, whole)
        rounds.append(found)
        print(f"{number + 1}: {found}", flush=True)
    again = [each.again for each in rounds if each.again is not None]
    print(
        f"{sum(each.same for each in rounds)} of {len(rounds)} ended in the same bits; "
        f"training again after {statistics.median(again):.1f} s "
        f"({min(again):.1f} to {max(again):.1f})"
    )
    return 0 if all(each.same for each in rounds) else 1


def train(folder: Path) -> subprocess.Popen[bytes]:
    """A training with two processes, that was started."""
    return subprocess.Popen(
        TRAINING, cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w")
    )


def disturbed(folder: Path, rank: int, moment: float, whole: dict[str, Any]) -> Round:
    """Kill a process so many seconds after both are there, and see."""
    launcher = train(folder)
    limit = time.monotonic() + PATIENCE
    while len(found := workers(launcher)) < 2 and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(moment)
    victim, at = found[rank], newest(folder)
    victim.send_signal(signal.SIGKILL)
    killed, again = time.monotonic(), None
    while launcher.poll() is None and time.monotonic() < limit:
        if again is None and newest(folder) > at and victim not in workers(launcher):
            again = time.monotonic() - killed
        time.sleep(0.05)
    launcher.kill()
    code = launcher.wait()
    restarts = (folder / "log").read_text().count("training on ") - 1
    same = code == 0 and left(folder) == whole
    return Round(rank, at, code, same, again, restarts)


def workers(launcher: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that train, in the order of their ranks."""
    try:
        children = psutil.Process(launcher.pid).children()
        found = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
    except psutil.Error:
        return []
    return sorted(found, key=lambda process: process.pid)


def newest(folder: Path) -> int:
    """The iteration of the newest checkpoint; 0 if there is none."""
    found = folder.glob(".metapipe/runs/*/latest-*.safetensors")
    return max((int(path.name.split("-")[1].split(".")[0]) for path in found), default=0)


def left(folder: Path) -> dict[str, Any]:
    """All that the newest run left, but for times, ids and places."""
    with TaskStore.open(default_url(folder)) as store:
        row = store.run("latest")
        tensors = {
            (each.which, each.step, name): tensor.numpy().tobytes()
            for each in store.checkpoints(row.id)
            for name, tensor in load(Path(each.path), each.sha256).file.tensors.items()
        }
        return {
            "run": (row.status, row.step, row.accuracy, row.loss, row.val_accuracy),
            "figures": [
                (each.name, each.step, each.value)
                for each in store.metrics(row.id)
                if each.name != "episodes_per_second"
            ],
            "evaluations": [
                (each.purpose, each.step, each.loss, each.accuracy)
                for each in store.evaluations(row.id)
            ],
            "episodes": sorted(
                (each.step, each.task.split, each.task.index, each.loss)
                for each in store.episodes(row.id, limit=None)
            ),
            "checkpoints": tensors,
        }


if __name__ == "__main__":
    sys.exit(main())
