"""The task store, on SQLite and on a real Postgres."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import FORKS
from store_rows import EVALUATION, RUN, episodes

from metapipe import CheckpointInfo, EpisodeRecord, Task
from metapipe.errors import NotFoundError, StoreError, UsageError
from metapipe.store import TaskStore, default_url, mask


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


def test_a_run_comes_back_as_it_was_entered(store: TaskStore) -> None:
    run_id = store.begin_run(replace(RUN, name="first"))
    row = store.run(run_id)
    assert row.status == "running"
    assert row.config == RUN.config
    assert (row.name, row.seed, row.pid) == ("first", 3, os.getpid())
    assert abs(row.created - datetime.now(UTC)) < timedelta(seconds=20)
    assert row.created.tzinfo is not None


def test_runs_are_found_by_id_name_or_as_latest(store: TaskStore) -> None:
    first = store.begin_run(replace(RUN, name="a"))
    second = store.begin_run(replace(RUN, name="a"))
    third = store.begin_run(RUN)
    assert store.run(str(first)).id == first
    assert store.run("a").id == second, "the newest of that name"
    assert store.run("latest").id == third
    with pytest.raises(NotFoundError, match="no run '99'"):
        store.run(99)
    with pytest.raises(NotFoundError, match="see 'metapipe runs list'"):
        store.run("9" * 30)
    with pytest.raises(NotFoundError, match="did you mean 'a'"):
        store.run("a1")


def test_metrics_replace_those_of_the_same_name_and_step(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    store.record_metrics(run_id, 10, {"loss": 2.0, "accuracy": 0.1})
    store.record_metrics(run_id, 20, {"loss": 1.0})
    store.record_metrics(run_id, 10, {"loss": 1.5})
    rows = store.metrics(run_id, "loss")
    assert [(row.step, row.value) for row in rows] == [(10, 1.5), (20, 1.0)]
    assert len(store.metrics(run_id)) == 3


def test_episodes_carry_their_recipe(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    trained = Task("glyphs", "train", 3, 7, 5, 1, 15)
    store.record_episodes(run_id, [EpisodeRecord(trained, 10, 0.5, accuracy=0.5)])
    evaluation_id = store.record_evaluation(run_id, EVALUATION, episodes(5))
    rows = store.episodes(run_id)
    assert rows[0].task == trained, "data set, split and seed are the run's"
    assert [row.task for row in rows[1:]] == [e.task for e in episodes(5)]
    assert {row.evaluation_id for row in rows} == {None, evaluation_id}
    assert store.episode(rows[2].id) == rows[2]
    with pytest.raises(NotFoundError, match="episodes list"):
        store.episode(10**30)


def test_the_hardest_come_first_and_filters_apply(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    store.record_evaluation(run_id, EVALUATION, episodes(30))
    hardest = store.episodes(run_id, hardest=3)
    assert [row.task.index for row in hardest] == [29, 28, 27]
    rows = store.episodes(run_id, where="accuracy>0.9 and loss>=0.3", sort="-index")
    assert [row.task.index for row in rows] == [9, 8, 7, 6, 5, 4, 3]
    assert len(store.episodes(run_id, where="purpose=test", limit=None)) == 30


def test_episodes_are_found_by_their_recipe(store: TaskStore) -> None:
    """That of a training episode is its run's."""
    run_id = store.begin_run(RUN)
    store.record_episodes(run_id, episodes(3, split="train"))
    store.record_evaluation(run_id, EVALUATION, episodes(2))
    assert len(store.episodes(run_id, where="split=train and seed=3")) == 3
    assert len(store.episodes(run_id, where="split=test and dataset=other")) == 2
    splits = [row.task.split for row in store.episodes(run_id, sort="split,-index")]
    assert splits == ["test"] * 2 + ["train"] * 3


def test_the_hardest_of_a_regression_have_the_greatest_loss(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    plain = [replace(record, accuracy=None) for record in episodes(30)]
    store.record_episodes(run_id, plain)
    hardest = store.episodes(run_id, hardest=2)
    assert [row.loss for row in hardest] == [2.9, 2.8]


def test_a_loss_that_is_no_number_is_infinitely_bad(store: TaskStore) -> None:
    """SQLite has no NaN, JSON neither: a run that diverged is kept all the same."""
    run_id = store.begin_run(RUN)
    nan = float("nan")
    broken = [replace(record, loss=nan, accuracy=None) for record in episodes(2)]
    store.record_metrics(run_id, 1, {"val_loss": nan})
    store.record_evaluation(run_id, replace(EVALUATION, loss=nan), broken + episodes(1))
    store.finish_run(run_id, "completed", metrics={"val_loss": nan, "loss": 1.0})
    row = store.run(run_id)
    assert row.loss == float("inf")
    assert row.metrics == {"val_loss": None, "loss": 1.0}
    assert store.metrics(run_id)[0].value == float("inf")
    assert [e.loss for e in store.episodes(run_id, sort="-loss")] == [row.loss] * 2 + [
        0
    ]


def test_a_run_shows_its_newest_test_and_its_best_validation(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    for step, accuracy in ((10, 0.6), (20, 0.9), (30, 0.7)):
        new = replace(EVALUATION, purpose="validation", step=step, accuracy=accuracy)
        store.record_evaluation(run_id, new, episodes(2))
    store.record_evaluation(run_id, EVALUATION, episodes(2))
    store.record_evaluation(run_id, replace(EVALUATION, accuracy=0.75), episodes(2))
    row = store.run(run_id)
    assert (row.accuracy, row.val_accuracy) == (0.75, 0.9)
    assert [e.purpose for e in store.evaluations(run_id)].count("validation") == 3
    assert store.evaluations(run_id)[-1].episodes == 2


def test_resuming_forgets_what_lies_behind_the_checkpoint(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    for step, accuracy in ((10, 0.6), (20, 0.9)):
        store.record_metrics(run_id, step, {"loss": 1.0})
        store.record_episodes(run_id, episodes(3, step, "train"))
        new = replace(EVALUATION, purpose="validation", step=step, accuracy=accuracy)
        store.record_evaluation(run_id, new, episodes(2, step))
    store.finish_run(run_id, "failed", error="it broke")
    assert store.run(run_id).error == "it broke"
    store.reopen_run(run_id, host="h", pid=os.getpid(), step=10)
    row = store.run(run_id)
    assert (row.status, row.step, row.error, row.finished) == (
        "running",
        10,
        None,
        None,
    )
    assert row.val_accuracy == 0.6
    assert {m.step for m in store.metrics(run_id)} == {10}
    assert {e.step for e in store.episodes(run_id)} == {10}
    assert [e.step for e in store.evaluations(run_id)] == [10]


def test_a_running_run_cannot_be_resumed(store: TaskStore) -> None:
    """Of two processes that resume a run at once, one gets it."""
    run_id = store.begin_run(RUN)
    store.record_metrics(run_id, 10, {"loss": 1.0})
    with pytest.raises(UsageError, match=f"running already: process {os.getpid()}"):
        store.reopen_run(run_id, host="h", pid=1, step=0)
    assert len(store.metrics(run_id)) == 1, "nothing is forgotten"
    store.finish_run(run_id, "interrupted")
    store.reopen_run(run_id, host="h", pid=1, step=10)
    with pytest.raises(UsageError, match="process 1 on h"):
        store.reopen_run(run_id, host="h", pid=2, step=10)


def test_what_is_not_there_cannot_be_changed(store: TaskStore) -> None:
    with pytest.raises(NotFoundError, match="no run 5"):
        store.heartbeat(5)
    with pytest.raises(NotFoundError, match="no run 5"):
        store.reopen_run(5, host="h", pid=1, step=0)
    with pytest.raises(NotFoundError, match="no run 5"):
        store.record_metrics(5, 1, {"loss": 1.0})
    with pytest.raises(NotFoundError, match="no run 5"):
        store.tag(5, ["x"])
    with pytest.raises(NotFoundError, match="no run 5"):
        store.note(5, "x")
    with pytest.raises(StoreError, match=r"(?i)foreign key"):
        store.record_evaluation(5, EVALUATION, [], of_the_run=False)
    with pytest.raises(NotFoundError, match="no evaluation 5"):
        store.evaluation(5)


def test_an_evaluation_is_written_with_its_episodes_or_not_at_all(
    store: TaskStore,
) -> None:
    run_id = store.begin_run(RUN)
    broken = replace(episodes(1)[0], loss=None)
    with pytest.raises(StoreError):
        store.record_evaluation(run_id, EVALUATION, [*episodes(3), broken])
    assert store.evaluations(run_id) == store.episodes(run_id) == []
    assert store.run(run_id).accuracy is None


def test_a_checkpoint_replaces_the_last_of_its_kind(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    one = CheckpointInfo(Path("/a/1"), "1" * 64, 10, 1, "latest")
    two = CheckpointInfo(Path("/a/2"), "2" * 64, 10, 2, "latest")
    best = CheckpointInfo(Path("/a/b"), "3" * 64, 2**40, 1, "best")
    assert store.save_checkpoint(run_id, one) == []
    assert store.save_checkpoint(run_id, best) == []
    assert store.save_checkpoint(run_id, two) == [Path("/a/1")]
    assert store.save_checkpoint(run_id, two) == [], "the same file is kept"
    rows = store.checkpoints(run_id)
    assert [(row.which, row.step, row.bytes) for row in rows] == [
        ("best", 1, 2**40),
        ("latest", 2, 10),
    ]


def test_the_best_checkpoints_are_those_that_are_named(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)

    def save(step: int, *best: int) -> list[Path]:
        which = "best" if best[0] == step else "best-2"
        info = CheckpointInfo(Path(f"/a/{step}"), str(step) * 64, 10, step, which)
        return store.save_checkpoint(run_id, info, best)

    def names() -> list[tuple[str, int]]:
        return [(row.which, row.step) for row in store.checkpoints(run_id)]

    latest = CheckpointInfo(Path("/a/l"), "a" * 64, 10, 1, "latest")
    assert save(1, 1) == store.save_checkpoint(run_id, latest) == []
    assert save(2, 1, 2) == []
    assert names() == [("best", 1), ("best-2", 2), ("latest", 1)]
    assert save(3, 3, 1) == [Path("/a/2")], "it was the third"
    assert save(3, 3, 1) == [], "once is enough"
    assert names() == [("best", 3), ("best-2", 1), ("latest", 1)]
    assert save(4, 4, 9) == [Path("/a/1"), Path("/a/3")], "nobody has the ninth"
    assert names() == [("best", 4), ("latest", 1)]


def test_deleting_a_run_leaves_nothing_of_it(store: TaskStore) -> None:
    kept, gone = store.begin_run(RUN), store.begin_run(RUN)
    child = store.begin_run(replace(RUN, parent_id=gone))
    for run_id in (kept, gone):
        store.record_metrics(run_id, 1, {"loss": 1.0})
        store.record_evaluation(run_id, EVALUATION, episodes(4))
        store.record_episodes(run_id, episodes(4, split="train"))
    assert store.delete_run(gone).id == gone
    assert {row.id for row in store.runs()} == {kept, child}
    assert store.run(child).parent_id is None
    assert len(store.episodes(kept)) == 8
    assert store.episodes(gone) == store.metrics(gone) == store.evaluations(gone) == []


def test_listing_sorts_with_missing_values_last_and_limits(store: TaskStore) -> None:
    ids = [store.begin_run(replace(RUN, seed=seed)) for seed in range(4)]
    for run_id, accuracy in zip(ids[:3], (0.5, 0.9, 0.7), strict=True):
        new = replace(EVALUATION, accuracy=accuracy)
        store.record_evaluation(run_id, new, episodes(1))
    order = [row.id for row in store.runs(sort="-accuracy")]
    assert order == [ids[1], ids[2], ids[0], ids[3]]
    assert [row.id for row in store.runs(sort="accuracy")][-1] == ids[3]
    assert [row.id for row in store.runs(limit=2)] == [ids[3], ids[2]]


def test_records_are_ready_for_pandas(store: TaskStore) -> None:
    import pandas as pd  # here: the processes below import this file

    store.begin_run(RUN)
    frame = pd.DataFrame(map(asdict, store.runs()))
    assert frame.loc[0, "algorithm"] == "maml"
    assert {"accuracy", "status", "config"} <= set(frame.columns)


def test_processes_that_open_a_new_store_at_once_all_succeed(store_url: str) -> None:
    with FORKS.Pool(3) as pool:
        ids = pool.map(_enter_a_run, [store_url] * 3)
    assert sorted(ids) == [1, 2, 3]


def _enter_a_run(url: str) -> int:
    with TaskStore.open(url) as store:
        return store.begin_run(RUN)


def test_two_processes_write_at_once(store_url: str) -> None:
    with TaskStore.open(store_url) as store:
        with FORKS.Pool(2) as pool:
            ids = pool.map(_write_much, [store_url] * 2)
        assert sorted(ids) == [1, 2]
        for run_id in ids:
            assert len(store.episodes(run_id, limit=None)) == 2000
            assert len(store.metrics(run_id)) == 20


def _write_much(url: str) -> int:
    with TaskStore.open(url) as store:
        run_id = store.begin_run(RUN)
        for step in range(20):
            store.record_episodes(run_id, episodes(100, step, "train"))
            store.record_metrics(run_id, step, {"loss": 1.0})
    return run_id


def test_a_killed_writer_leaves_no_half_batch(store_url: str) -> None:
    with TaskStore.open(store_url) as store:
        process = FORKS.Process(target=_write_forever, args=(store_url,))
        process.start()
        deadline = time.monotonic() + 30
        while not store.episodes(1, limit=1) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        count = store.count_episodes(1)
        assert count > 0
        assert count % 500 == 0


def _write_forever(url: str) -> None:
    with TaskStore.open(url) as store:
        run_id = store.begin_run(RUN)
        for step in range(10**6):
            store.record_episodes(run_id, episodes(500, step, "train"))


def test_passwords_are_never_shown() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/none"
    assert "secret" not in mask(url)
    assert mask("postgresql://h/d?password=secret") == "postgresql://h/d?password=***"
    assert "secret" not in mask("postgresql://me:secret@h:port/d")
    with pytest.raises(StoreError) as caught:
        TaskStore.open(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message", "code"),
    [
        ("nonsense", "cannot be read", 2),
        ("postgresql://me@h:port/d", "cannot be read", 2),
        ("mysql://x/y", "no store for 'mysql'", 2),
        ("sqlite://", "outlive the process", 2),
        ("sqlite:////proc/none/x.db", "cannot create the folder", 1),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(
    url: str, message: str, code: int
) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        TaskStore.open(url)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == code


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is not a database, but long enough to read")
    with pytest.raises(StoreError, match="not a database"):
        TaskStore.open(f"sqlite:///{tmp_path / 'x.db'}")


def test_the_default_lies_beside_the_project(tmp_path: Path) -> None:
    assert default_url(tmp_path) == f"sqlite:///{tmp_path}/.metapipe/metapipe.db"
