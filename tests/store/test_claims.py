"""A run belongs to one process: the others write nothing into it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from store_rows import EVALUATION, RUN, episodes

from metapipe import CheckpointInfo
from metapipe.errors import ClaimError
from metapipe.store import TaskStore, schema
from metapipe.store.engine import connect

CHECKPOINT = CheckpointInfo(Path("/a/1"), "1" * 64, 10, 1, "latest")
WRITES: dict[str, Callable[[TaskStore, int], object]] = {
    "heartbeat": lambda store, run: store.heartbeat(run),
    "update_run": lambda store, run: store.update_run(run, step=99),
    "metrics": lambda store, run: store.record_metrics(run, 1, {"loss": 1.0}),
    "episodes": lambda store, run: store.record_episodes(run, episodes(2)),
    "evaluation": lambda store, run: store.record_evaluation(run, EVALUATION, []),
    "checkpoint": lambda store, run: store.save_checkpoint(run, CHECKPOINT),
    "finish_run": lambda store, run: store.finish_run(run, "stopped", reason="x"),
}


def silence(url: str) -> None:
    """Let all runs have been silent for two minutes."""
    engine = connect(url)
    then = datetime.now(UTC) - timedelta(minutes=2)
    with engine.begin() as connection:
        connection.execute(update(schema.Run).values(heartbeat=then))
    engine.dispose()


@pytest.mark.parametrize("write", WRITES)
def test_who_was_replaced_writes_nothing(store_url: str, write: str) -> None:
    with TaskStore.open(store_url) as old, TaskStore.open(store_url) as new:
        run_id = old.begin_run(replace(RUN, host="elsewhere"))
        silence(store_url)
        new.reopen_run(run_id, host="here", pid=123, step=0)
        before = new.run(run_id)
        with pytest.raises(ClaimError) as caught:
            WRITES[write](old, run_id)
        assert str(caught.value) == (
            f"run {run_id} has been taken over by process 123 on here; this process "
            "stops"
        )
        assert new.run(run_id) == before
        assert not new.metrics(run_id)
        assert not new.evaluations(run_id)
        assert not new.count_episodes(run_id)
        assert not new.checkpoints(run_id)
        WRITES[write](new, run_id)


def test_who_never_had_a_run_writes_no_records_but_judges_and_tags(
    store_url: str,
) -> None:
    with TaskStore.open(store_url) as owner, TaskStore.open(store_url) as other:
        run_id = owner.begin_run(RUN)
        with pytest.raises(ClaimError, match=f"belongs to process {os.getpid()}"):
            other.heartbeat(run_id)
        other.record_evaluation(run_id, EVALUATION, episodes(2), of_the_run=False)
        other.tag(run_id, ["good"])
        other.note(run_id, "judged")
        owner.heartbeat(run_id)
        row = owner.run(run_id)
        assert (row.tags, row.notes, row.accuracy) == (("good",), "judged", None)


PROGRAM = """
import sys
from dataclasses import replace
from store_rows import RUN, episodes
from metapipe.errors import ClaimError
from metapipe.store import TaskStore

with TaskStore.open(sys.argv[1]) as store:
    run_id = store.begin_run(replace(RUN, host="elsewhere"))
    store.record_episodes(run_id, episodes(5, 1, "train"))
    print(run_id, flush=True)
    input()  # suspended here
    try:
        store.record_episodes(run_id, episodes(5, 2, "train"))
    except ClaimError as error:
        sys.exit(str(error))
"""


def start(url: str) -> subprocess.Popen[str]:
    """A process that begins run 1 and writes to it again when it gets a line."""
    tests = str(Path(__file__).parents[1])
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url],
        **pipes,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
    )


def test_a_suspended_process_that_wakes_after_a_takeover_writes_nothing(
    store_url: str,
) -> None:
    with start(store_url) as process, TaskStore.open(store_url) as store:
        assert process.stdout is not None
        run_id = int(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        silence(store_url)
        assert store.run(run_id).status == "lost"
        store.reopen_run(run_id, host="here", pid=7, step=1)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate("go on\n", timeout=60)
        assert err.strip() == (
            f"run {run_id} has been taken over by process 7 on here; this process stops"
        )
        assert process.returncode == 1
        assert {row.step for row in store.episodes(run_id)} == {1}
