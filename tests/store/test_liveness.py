"""Who is lost is found out when it is asked, alike wherever it is, and not written."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from store_rows import RUN

from metapipe.errors import UsageError
from metapipe.store import TaskStore, liveness, schema
from metapipe.store.engine import connect

DAY = timedelta(days=1)
SLEEP = "import time; print(flush=True); time.sleep(60)"


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing for a while, on this machine."""
    command = [sys.executable, "-c", SLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


def age(url: str, run_id: int, age: timedelta) -> None:
    """Let a run have been silent for so long."""
    engine = connect(url)
    table, then = schema.Run, datetime.now(UTC) - age
    changed = update(table).where(table.id == run_id).values(heartbeat=then)
    with engine.begin() as connection:
        connection.execute(changed)
    engine.dispose()


def test_filters_orders_and_rows_agree_and_nothing_is_written(
    store: TaskStore, store_url: str
) -> None:
    lost = store.begin_run(replace(RUN, host="elsewhere"))
    age(store_url, lost, DAY)
    running = store.begin_run(replace(RUN, host="elsewhere"))
    done = store.begin_run(RUN)
    store.finish_run(done, "completed")
    stopped = store.begin_run(RUN)
    store.finish_run(stopped, "stopped", reason="no better than the others")
    found = {row.id: row.status for row in store.runs()}
    assert found == {
        lost: "lost",
        running: "running",
        done: "completed",
        stopped: "stopped",
    }
    assert store.run(stopped).reason == "no better than the others"
    assert [row.id for row in store.runs("status=lost")] == [lost]
    assert [row.id for row in store.runs("status=running")] == [running]
    assert {row.id for row in store.runs("not status=lost")} == {running, done, stopped}
    assert store.count_runs("status~o") == 3
    order = [row.id for row in store.runs(sort="status")]
    assert order == [done, lost, running, stopped]
    engine = connect(store_url)
    with engine.connect() as connection:
        kept = connection.scalar(select(schema.Run.status).where(schema.Run.id == lost))
    engine.dispose()
    assert kept == "running", "nothing is written by asking"


def test_a_heartbeat_of_a_run_thought_lost_makes_it_running(
    store: TaskStore, store_url: str
) -> None:
    run_id = store.begin_run(replace(RUN, host="elsewhere"))
    age(store_url, run_id, DAY)
    assert store.run(run_id).status == "lost"
    store.heartbeat(run_id)
    assert store.run(run_id).status == "running"


def test_a_killed_process_on_this_machine_is_noticed_at_once(
    store: TaskStore, process: subprocess.Popen[bytes]
) -> None:
    run_id = store.begin_run(replace(RUN, pid=process.pid))
    assert store.run(run_id).status == "running"
    process.kill()
    process.wait()
    assert store.run(run_id).status == "lost"
    store.reopen_run(run_id, host=RUN.host, pid=RUN.pid, step=0)
    assert store.run(run_id).status == "running"


def test_a_suspended_process_of_this_machine_keeps_its_run(
    store: TaskStore,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may wake at any time: it is lost for other machines only."""
    monkeypatch.setattr(liveness, "LOST_AFTER", timedelta(0))
    run_id = store.begin_run(replace(RUN, pid=process.pid))
    far = store.begin_run(replace(RUN, pid=process.pid, host="elsewhere"))
    process.send_signal(signal.SIGSTOP)
    assert store.run(run_id).status == "running"
    assert store.run(far).status == "lost"
    with pytest.raises(UsageError, match="running already"):
        store.reopen_run(run_id, host=RUN.host, pid=RUN.pid, step=0)


def test_a_process_that_got_a_dead_ones_number_is_not_taken_for_it(
    store: TaskStore, store_url: str, process: subprocess.Popen[bytes]
) -> None:
    """After a restart of the machine any process may have it."""
    run_id = store.begin_run(replace(RUN, pid=process.pid))
    age(store_url, run_id, DAY)  # so it began after the run's last heartbeat
    assert store.run(run_id).status == "lost"


def test_a_process_that_got_its_number_at_once_is_not_taken_for_it_either(
    store: TaskStore, store_url: str, process: subprocess.Popen[bytes]
) -> None:
    """A container that starts anew has the same name and the same numbers."""
    run_id = store.begin_run(replace(RUN, pid=process.pid))
    age(store_url, run_id, timedelta(seconds=10))
    assert store.run(run_id).status == "lost"


def test_a_dead_process_that_nobody_waited_for_is_dead(
    store: TaskStore, process: subprocess.Popen[bytes]
) -> None:
    run_id = store.begin_run(replace(RUN, pid=process.pid))
    process.kill()
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while store.run(run_id).status != "lost" and datetime.now(UTC) < deadline:
        pass
    assert store.run(run_id).status == "lost"
