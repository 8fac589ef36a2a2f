"""Who may only read can list, show and compare; and reading writes nothing."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import StoreError
from metapipe.store import TaskStore
from metapipe.store.engine import connect

READ = """
import json, os, sys
import psutil  # nobody may read where it lies
import sqlalchemy.dialects.sqlite  # later it may be out of reach
from metapipe.errors import StoreError
from metapipe.store import TaskStore

os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
with TaskStore.open(sys.argv[1]) as store:
    rows = store.runs("status=lost or status=running")
    run = store.run("latest")
    facts = [len(rows), len(store.evaluations(run.id)), len(store.episodes(run.id))]
    try:
        store.note(run.id, "mine")
    except StoreError as error:
        facts.append(str(error))
print(json.dumps(facts))
"""


def fill(url: str) -> None:
    with TaskStore.open(url) as store:
        run_id = store.begin_run(replace(RUN, host="elsewhere"))
        store.record_evaluation(run_id, EVALUATION, episodes(3))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may read, unlike pytest's own."""
    path = Path("/tmp") / f"metapipe-reading-{os.getpid()}"
    path.mkdir()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def as_nobody(url: str) -> str:
    """What a process that may write nothing of ours reads."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    done = subprocess.run(
        [sys.executable, "-c", READ, url, nobody],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_store_that_nobody_writes_can_be_read_by_all(folder: Path) -> None:
    """In WAL mode SQLite makes two files to read: here it may not."""
    url = f"sqlite:///{folder / 'store.db'}"
    fill(url)
    files = sorted(folder.iterdir())
    before = files[0].read_bytes()
    said = as_nobody(url)
    assert said.startswith("[1, 1, 3, ")
    assert "read-only" in said
    assert (files, before) == (sorted(folder.iterdir()), files[0].read_bytes())


def test_a_store_in_use_can_be_read_by_all(folder: Path) -> None:
    url = f"sqlite:///{folder / 'store.db'}"
    fill(url)
    with TaskStore.open(url) as writer:
        run_id = writer.begin_run(RUN)
        writer.record_evaluation(run_id, EVALUATION, episodes(7))
        assert Path(f"{folder / 'store.db'}-wal").stat().st_size > 0
        assert as_nobody(url).startswith("[2, 1, 7, ")


def test_a_file_that_may_not_be_written_in_a_folder_that_may(folder: Path) -> None:
    url = f"sqlite:///{folder / 'store.db'}"
    fill(url)
    folder.chmod(0o777)
    assert as_nobody(url).startswith("[1, 1, 3, ")
    assert [path.name for path in folder.iterdir()] == ["store.db"]


def test_opening_and_asking_change_no_byte(tmp_path: Path) -> None:
    """Nor does it turn a database that was copied without WAL into one with."""
    path = tmp_path / "store.db"
    fill(f"sqlite:///{path}")
    engine = connect(f"sqlite:///{path}")
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA journal_mode=DELETE")
    engine.dispose()
    before = path.read_bytes()
    with TaskStore.open(f"sqlite:///{path}") as store:
        assert store.runs()[0].status == "running"
        assert store.count_episodes(1) == 3
    assert path.read_bytes() == before


def test_a_role_that_may_only_select_can_read(postgres) -> None:
    owner = postgres()
    fill(owner)
    role = f"reader_{os.getpid()}"
    engine = connect(owner)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
        connection.execute(
            text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        )
    engine.dispose()
    url = make_url(owner).set(username=role, password="x")
    with TaskStore.open(url.render_as_string(hide_password=False)) as store:
        run = store.run("latest")
        assert run.status == "running"
        assert len(store.runs("status=running")) == 1
        assert len(store.episodes(run.id)) == 3
        with pytest.raises(StoreError, match="permission denied"):
            store.tag(run.id, ["x"])
