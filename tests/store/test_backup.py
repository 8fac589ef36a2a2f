"""Backups: of one moment, whole, and never in another's place."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kept_runs import contents, keep_two, opened, told

from metapipe.errors import CheckpointError, StoreError, UsageError, WriteError
from metapipe.runs.backup import back_up
from metapipe.runs.store_check import check
from metapipe.store import TaskStore, migrate

WRITER = """
import sys
from store_rows import EVALUATION, RUN, episodes
from metapipe.store import TaskStore

with TaskStore.open(sys.argv[1]) as store:
    run_id, step = store.begin_run(RUN), 0
    print("begun", flush=True)
    while True:
        step += 1
        store.record_evaluation(run_id, EVALUATION, episodes(50))
"""


@contextmanager
def writing(url: str) -> Iterator[None]:
    """A process that writes evaluations with their episodes, as fast as it can."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    try:
        yield
        assert process.poll() is None, "the writer was not disturbed"
    finally:
        process.kill()
        process.communicate()


def test_a_backup_is_of_one_moment_whoever_writes(store_url, tmp_path) -> None:
    TaskStore.open(store_url).close()
    sizes = []
    with writing(store_url):
        for number in range(4):
            time.sleep(0.3)
            path = tmp_path / f"{number}.db"
            back_up(store_url, path)
            with closing(sqlite3.connect(path)) as connection:
                asked = "SELECT id, (SELECT count(*) FROM episodes WHERE "
                asked += "evaluation_id = evaluations.id) FROM evaluations"
                rows = connection.execute(asked).fetchall()
            assert {count for _, count in rows} == {50}, "whole evaluations"
            assert [i for i, _ in rows] == list(range(1, len(rows) + 1)), (
                "none left out"
            )
            sizes.append(len(rows))
    assert sizes == sorted(set(sizes)), "and each later one has more"
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.db-*"))


def test_a_backup_has_all_and_is_opened_at_once(store_url, tmp_path) -> None:
    project = tmp_path / "project"
    keep_two(store_url, project)
    kept = tmp_path / "kept"
    kept.mkdir()
    done = back_up(store_url, kept / "b.db", with_files=True)
    assert done.files == 4
    shutil.rmtree(project)
    moved = shutil.move(kept, tmp_path / "elsewhere")
    url = f"sqlite:///{moved}/b.db"
    assert told(url) == told(store_url)
    assert len(contents(url, Path(moved))) == 4
    with TaskStore.open(url) as store:
        checked = check(store)
    assert checked.faults == []
    assert checked.files == 4
    assert checked.rows["episodes"] == 24


def test_a_backup_names_no_file_of_the_store(store_url, tmp_path) -> None:
    """So that nobody who cleans up in a backup removes those."""
    project = tmp_path / "project"
    keep_two(store_url, project)
    back_up(store_url, tmp_path / "b.db")
    with opened(f"sqlite:///{tmp_path / 'b.db'}", project) as store:
        assert Path(store.run(1).directory).parent == tmp_path / "runs"
        assert Path(store.checkpoints(1)[0].path).parents[1] == tmp_path / "runs"


def test_a_backup_takes_nobodys_place(tmp_path) -> None:
    project = tmp_path / "p"
    url = f"sqlite:///{project / '.metapipe' / 'metapipe.db'}"
    keep_two(url, project)
    store = project / ".metapipe" / "metapipe.db"
    before = told(url)
    link = tmp_path / "link.db"
    link.symlink_to(store)
    for path in (store, link):
        with pytest.raises(UsageError, match="is the store itself"):
            back_up(url, path, force=True)
    with pytest.raises(UsageError, match="is a folder"):
        back_up(url, tmp_path, force=True)
    other = tmp_path / "thesis.txt"
    other.write_text("precious")
    with pytest.raises(UsageError, match="--force replaces it"):
        back_up(url, other)
    with pytest.raises(WriteError, match="cannot write"):
        back_up(url, other / "b.db")
    assert other.read_text() == "precious"
    back_up(url, other, force=True)
    assert told(f"sqlite:///{other}") == before == told(url)


def test_a_damaged_checkpoint_leaves_the_old_backup(tmp_path) -> None:
    url, path = f"sqlite:///{tmp_path / 'm.db'}", tmp_path / "b" / "b.db"
    keep_two(url, tmp_path)
    back_up(url, path, with_files=True)
    before = path.read_bytes()
    with TaskStore.open(url) as store:
        gone = Path(store.checkpoints(1)[0].path)
    shutil.rmtree(path.parent / "runs")
    gone.write_bytes(b"other")
    for wrong in ("is damaged", "no checkpoint at"):
        with pytest.raises(CheckpointError, match=wrong):
            back_up(url, path, with_files=True, force=True)
        gone.unlink(missing_ok=True)
    assert path.read_bytes() == before


def test_a_store_of_an_older_schema_is_backed_up_as_it_is(tmp_path) -> None:
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parents[1] / "databases" / "0001.db", old)
    back_up(f"sqlite:///{old}", tmp_path / "b.db")
    copy = f"sqlite:///{tmp_path / 'b.db'}"
    assert migrate.current(copy) == "0001"
    migrate.upgrade(copy)
    with TaskStore.open(copy) as store:
        assert store.run("kept").algorithm == "maml"


def test_what_is_no_store_or_damaged_is_not_backed_up(tmp_path) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="not a database"):
        back_up(f"sqlite:///{path}", tmp_path / "b.db")
    path.unlink()
    keep_two(f"sqlite:///{path}", tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096 * 12)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        back_up(f"sqlite:///{path}", tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()
