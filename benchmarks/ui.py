"""The page over a large store, read by many, and beside a training.

    pip install -e '.[ui,test]' && python benchmarks/ui.py

Makes a store of 10,000 runs and 5 million episodes on SQLite (or takes the one in
--folder, which is kept), serves the page from a process of its own as `metapipe ui`
does, and prints:

- of each page the median and the longest time, which may not reach 200 ms in the
  median, and milliseconds of the processor, which others on the machine lengthen less;
- seconds from the command to the first answer;
- with 50 clients reading at once and a run writing: answers a second, the slowest one,
  and how many were no page (none may be);
- with --training, the speed of a training while a page on it is renewed every two
  seconds, as a share of its speed without, in turn, with the spread over the turns.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import insert, text
from sqlalchemy.orm import Session
from store import fill, new_run

from metapipe.store import TaskStore, schema
from metapipe.store.engine import connect

PAGES = (
    "/runs",
    "/runs?page=200",
    "/runs?sort=-accuracy&page=100",
    "/runs?where=algorithm%3Dmaml+and+accuracy%3E0.5",
    "/runs?where=training.lr%3C0.01&columns=id,training.lr",
    "/runs?group_by=algorithm,dataset",
    "/runs/2",
    "/runs/5000",
    "/runs/2/episodes",
    "/runs/2/episodes?evaluation=1",
    "/runs/2/episodes?after=1000000",
    "/runs/5000/episodes",
    "/compare?run=5,6,7,8",
)
JUDGED = """
    UPDATE episodes SET evaluation_id = 1 WHERE id IN (
        SELECT id FROM episodes WHERE run_id = 2 ORDER BY id DESC LIMIT 600
    )
"""
CLIENTS = 50
LIMIT = 0.2
TIMES = 15


class Server(NamedTuple):
    """A page that is served."""

    port: int
    process: psutil.Process
    seconds: float
    """From the command to the first answer."""

    def busy(self) -> float:
        """Seconds of the processor so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A page on the project of a folder."""
    command = [sys.executable, "-m", "metapipe", "ui", "--no-browser", "--port", "0"]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            port = int(line.split("/ ")[0].rsplit(":", 1)[1])
            get(port, "/runs")
            seconds = time.perf_counter() - begun
            yield Server(port, psutil.Process(server.pid), seconds)
        finally:
            server.terminate()


def get(port: int, path: str) -> tuple[int, int, float]:
    """Status, bytes and seconds of an answer."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    size = len(answer.read())
    connection.close()
    return answer.status, size, time.perf_counter() - begun


def judge(url: str) -> None:
    """Make the last 600 of run 2's million episodes those of a test."""
    test = {
        **{"id": 1, "run_id": 2, "purpose": "test", "dataset": "glyphs"},
        **{"fingerprint": "f", "split": "test", "seed": 0, "ways": 5, "shots": 1},
        **{"queries": 15, "episodes": 600, "step": 1000, "settings": {}},
        **{"prediction": "together", "statistics": "batch", "transductive": True},
        **{"loss": 1.0, "loss_ci95": 0.1, "seconds": 1.0},
        "created": datetime.now(UTC),
    }
    engine = connect(url)
    with Session(engine) as session, session.begin():
        session.execute(insert(schema.Evaluation), [test])
        session.execute(text(JUDGED))
    engine.dispose()


def pages(server: Server) -> float:
    """Print the times of each page; returns the longest median of a list or a run."""
    longest = 0.0
    for path in PAGES:
        get(server.port, path)
        before = server.busy()
        found = [get(server.port, path) for _ in range(TIMES)]
        busy = (server.busy() - before) / TIMES
        assert {status for status, _, _ in found} == {200}, (path, found)
        times = [seconds for _, _, seconds in found]
        median = statistics.median(times)
        longest = max(longest, median)
        size = found[0][1] / 1024
        print(
            f"{1000 * median:6.0f} ms, longest {1000 * max(times):5.0f}, of the "
            f"processor {1000 * busy:4.0f}, {size:3.0f} KiB  {path}",
            flush=True,
        )
    return longest


def many(port: int, folder: Path, seconds: float) -> None:
    """Print what becomes of so many clients beside a run that writes."""
    found: list[tuple[int, float]] = []
    over = time.monotonic() + seconds
    paths = ("/runs", "/runs/latest", "/runs/2/episodes", "/compare?run=5,6")

    def read(first: int) -> None:
        number = first
        while time.monotonic() < over:
            status, _, took = get(port, paths[number % len(paths)])
            found.append((status, took))
            number += 1

    url = f"sqlite:///{folder}/.metapipe/metapipe.db"
    with TaskStore.open(url) as store:
        run_id = store.begin_run(new_run(1))
        clients = [threading.Thread(target=read, args=(n,)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        step = 0
        while any(client.is_alive() for client in clients):
            step += 1
            store.record_metrics(run_id, step, {"loss": 1 / step})
            time.sleep(0.02)
    times = [took for _, took in found]
    wrong = sum(status != 200 for status, _ in found)
    print(
        f"{CLIENTS} clients and a writer: {len(found) / seconds:.0f} answers a second, "
        f"median {statistics.median(times):.2f} s, slowest {max(times):.2f} s, {wrong} "
        f"wrong; {step / seconds:.0f} writes a second"
    )


def beside_training(turns: int, iterations: int) -> None:
    """Print the speed of a training with the page renewed against without."""
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(folder, iterations)
        with serving(folder) as server:
            for turn in range(turns):
                speeds = {}
                for watched in (turn % 2 == 0, turn % 2 == 1):
                    with watching(server.port) if watched else alone():
                        speeds[watched] = train(folder, iterations)
                ratios.append(speeds[True] / speeds[False])
    print(
        f"training with the page open: {statistics.median(ratios):.3f} of the speed "
        f"without, of {turns} turns from {min(ratios):.3f} to {max(ratios):.3f}"
    )


@contextmanager
def watching(port: int) -> Iterator[None]:
    """A browser's requests for the newest run."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(2):
            get(port, "/runs/latest")

    thread = threading.Thread(target=renew)
    thread.start()
    yield
    over.set()
    thread.join()


@contextmanager
def alone() -> Iterator[None]:
    yield


def train(folder: Path, iterations: int) -> float:
    """Iterations a second of a training in a process of its own."""
    command = [
        *(sys.executable, "-m", "metapipe", "train", "--dataset", "digits"),
        *("--model", "mlp", "--mapping", "loop", "--iterations", str(iterations)),
        *("--validate-every", str(iterations // 5), "--validation-episodes", "10"),
        *("-s", "evaluation.episodes=10"),
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with TaskStore.open(f"sqlite:///{folder}/.metapipe/metapipe.db") as store:
        seconds = store.run("latest").train_seconds
    assert seconds is not None
    return iterations / seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, if need be, and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--training", type=int, default=0, metavar="TURNS")
    parser.add_argument("--iterations", type=int, default=2000)
    given = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.training:
        beside_training(given.training, given.iterations)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        place = folder / ".metapipe" / "metapipe.db"
        if not place.exists():
            TaskStore.open(f"sqlite:///{place}").close()
            fill(f"sqlite:///{place}", given.runs, given.episodes)
            judge(f"sqlite:///{place}")
        with serving(folder) as server:
            print(
                f"{server.seconds:.2f} s from the command to the first page, "
                f"{server.busy():.2f} s of the processor"
            )
            longest = pages(server)
            many(server.port, folder, given.seconds)
    if longest >= LIMIT:
        sys.exit(f"a page takes {longest:.2f} s: {LIMIT} s is most")


if __name__ == "__main__":
    main()
