"""Kill processes of one training at random moments: it has to end in the same bits.

    pip install -e '.[test]' && python benchmarks/kills.py --kills 20

Each round trains with two processes, kills one of them (SIGKILL) at a random moment
around a random iteration, and compares all that the run left, but for times, with what
an undisturbed one left.
Prints a line a round, with the seconds until training went on, and ends with 1 if one
round ended otherwise.

With `--agents` there are two agents of torchrun, as on two machines, and the one is
lost, with its process, where the two do not meet: the other goes on alone.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from commands import TINY
from crashes import assert_same, ended
from crews import agents, kill_machine

from metapipe.store import TaskStore, default_url

ITERATIONS, EVERY = 400, 10

TRAINING = (
    *("train", "--shards", "4", *TINY, "--iterations", str(ITERATIONS)),
    *("--validate-every", "50", "--checkpoint-every", str(EVERY)),
)

PATIENCE = 900.0
"""Seconds until a round has failed."""


@dataclass(frozen=True)
class Round:
    """What became of a training one of whose processes was killed."""

    rank: int
    at: int
    """The iteration of the last checkpoint before."""

    restarts: int
    again: float | None
    """Seconds until the next checkpoint; None if the training was over."""

    fault: str


def main() -> int:
    """Exit code 0 if all rounds ended alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--agents", action="store_true")
    asked = parser.parse_args()
    lose = machine_lost if asked.agents else disturbed
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        started(Path(folder)).wait()
        whole, seconds = ended(default_url(Path(folder))), time.monotonic() - begun
    print(f"undisturbed {seconds:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    rounds = []
    for number in range(asked.kills):
        rank, step = draw.randrange(2), draw.randrange(ITERATIONS - 20)
        moment = draw.uniform(0, 0.5)
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(lose(Path(folder), rank, step, moment, whole))
        print(f"{number + 1}: {rounds[-1]}", flush=True)
    again = [each.again for each in rounds if each.again is not None]
    same = sum(not each.fault for each in rounds)
    most = max(each.restarts for each in rounds)
    print(
        f"{same} of {len(rounds)} ended in the same bits, {most} restarts at most; "
        f"training again after {statistics.median(again):.1f} s ({min(again):.1f} to "
        f"{max(again):.1f}), load {os.getloadavg()[0]:.1f}"
    )
    return 1 if any(each.fault for each in rounds) else 0


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A training with two processes."""
    command = [sys.executable, "-m", "metapipe", *TRAINING, "--processes", "2"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log
        )


def disturbed(
    folder: Path, rank: int, step: int, moment: float, whole: dict[str, Any]
) -> Round:
    """Kill a process so many seconds after the last checkpoint up to an iteration, or
    after both processes are there, and see."""
    launcher = started(folder)
    limit = time.monotonic() + PATIENCE
    victim = await_workers(launcher, limit)[rank]
    while newest(folder) < step // EVERY * EVERY and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(moment)
    at, killed, again = newest(folder), time.monotonic(), None
    if victim.is_running():
        victim.kill()
    while launcher.poll() is None and time.monotonic() < limit:
        if again is None and newest(folder) > at:
            again = time.monotonic() - killed
        time.sleep(0.05)
    launcher.kill()
    code, log = launcher.wait(), (folder / "log").read_text()
    fault = "" if code == 0 else f"exit code {code}: {log}"
    try:
        assert_same(whole, ended(default_url(folder)))
    except AssertionError as error:
        fault = fault or str(error)
    return Round(rank, at, log.count("going on from"), again, fault)


def machine_lost(
    folder: Path, _: int, step: int, moment: float, whole: dict[str, Any]
) -> Round:
    """Kill an agent with its process, by torchrun's own time-outs, and see."""
    stays, goes = agents("1:2", *TRAINING, cwd=folder, waits="")
    limit = time.monotonic() + PATIENCE
    while newest(folder) < step // EVERY * EVERY + EVERY and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(moment)
    at, killed, again = newest(folder), time.monotonic(), None
    kill_machine(goes)
    goes.ended()
    while again is None and at < ITERATIONS and time.monotonic() < limit:
        again = time.monotonic() - killed if newest(folder) > at else None
        time.sleep(0.05)
    code, _, log = stays.ended()
    fault = "" if code == 0 else f"exit code {code}: {log}"
    with TaskStore.open(default_url(folder)) as store:
        together = store.run(1).environment.get("processes")
    if together != 2:
        fault = fault or "there was one process from the start"
    try:
        assert_same(whole, ended(default_url(folder)))
    except AssertionError as error:
        fault = fault or str(error)
    return Round(1, at, log.count("going on from"), again, fault)


def await_workers(
    launcher: subprocess.Popen[bytes], limit: float
) -> list[psutil.Process]:
    """The processes that train, in the order of their ranks, once they are there: those
    that the server forked which the launcher has."""
    while time.monotonic() < limit:
        try:
            below = psutil.Process(launcher.pid).children()
            found = [each for server in below for each in server.children()]
        except psutil.Error:
            found = []
        if len(found) == 2:
            return sorted(found, key=lambda process: process.pid)
        time.sleep(0.02)
    raise TimeoutError("the processes were not started")


def newest(folder: Path) -> int:
    """The iteration of the newest checkpoint; 0 if there is none."""
    found = folder.glob(".metapipe/runs/*/latest-*.safetensors")
    return max((int(path.name.split("-")[1][:8]) for path in found), default=0)


if __name__ == "__main__":
    sys.exit(main())
