"""From revision 0001, with runs that its own code made, to 0002."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)

from metapipe import Problem
from metapipe.store import TaskStore, engine, migrate, schema

TRAINED = Path(__file__).parents[1] / "databases" / "0001-trained.db"
"""Run 1 was trained to the end, run 2 killed, both in /tmp/real."""

ITS_HOME = "/tmp/real/.metapipe"
THEIRS = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@contextmanager
def begun(url: str) -> Iterator[Connection]:
    """A transaction in a database of any revision."""
    engine.make_room(url)
    opened = engine.connect(url)
    with opened.begin() as connection:
        yield connection
    opened.dispose()


def somebody_elses_version(url: str, version: str = "v3.2.0.a") -> None:
    """Let Optuna, or whoever uses Alembic as it comes, have its version table."""
    with begun(url) as connection:
        connection.execute(text(THEIRS))
        connection.execute(text(f"INSERT INTO alembic_version VALUES ('{version}')"))


def versions(url: str) -> list[str]:
    with begun(url) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return []
        found = connection.execute(text("SELECT version_num FROM alembic_version"))
        return list(found.scalars())


@pytest.fixture
def first(store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database of revision 0001 with the trained runs."""
    path = make_url(store_url).database
    if store_url.startswith("sqlite"):
        home = Path(path or "").parent
        home.mkdir()
        shutil.copy(TRAINED, home / "test.db")
        with begun(store_url) as connection:
            for table, column in (("runs", "directory"), ("checkpoints", "path")):
                moved = f"{column} = replace({column}, '{ITS_HOME}', '{home}')"
                connection.execute(text(f"UPDATE {table} SET {moved}"))
        return store_url
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "REVISION", "0001")
        migrate.upgrade(store_url)
    with begun(store_url) as connection:
        connection.execute(text("DROP TABLE metapipe_version"))
    somebody_elses_version(store_url, "0001")  # then it was ours
    copy(create_engine(f"sqlite:///{TRAINED}"), store_url)
    return store_url


def copy(source: Engine, url: str) -> None:
    """All rows of our tables."""
    tables = MetaData()
    tables.reflect(source)
    with source.connect() as connection, begun(url) as target:
        for table in tables.sorted_tables:
            if table.name != "alembic_version":
                rows = connection.execute(select(table)).mappings().all()
                target.execute(insert(table), [dict(row) for row in rows])
    source.dispose()


def assert_whole(url: str) -> None:
    """All that the two runs were is there, in its new place."""
    with TaskStore.open(url) as store:
        one, two = store.runs(sort="id")
        assert (one.name, one.status, one.tags) == ("trained", "completed", ())
        assert (two.name, two.status) == ("killed", "lost")
        assert one.fingerprint == two.fingerprint
        assert (one.fingerprint or "").startswith("153c31ba")
        assert one.problem is not None
        assert Problem(**one.problem) == Problem("classification", [1, 8, 8], 2, 24)
        assert (one.encoder or {})["type"] == "image"
        assert not {"data", "problem", "encoder"} & set(one.environment)
        assert one.environment["threads"] == 1
        assert store.count_episodes(1) == len(store.episodes(1, where="ways=2"))
        assert {e.purpose for e in store.evaluations(1)} == {"validation", "test"}
        best, latest = store.checkpoints(1)
        assert (best.which, latest.which) == ("best", "latest")
        home = store.home or Path(ITS_HOME)
        assert Path(latest.path).parent == Path(one.directory)
        assert Path(one.directory).parent == home / "runs"
        store.reopen_run(2, host="here", pid=1, step=0)
        store.heartbeat(2)


def test_real_runs_come_along(first: str) -> None:
    assert migrate.current(first) == "0001"
    assert migrate.upgrade(first) == ("0001", schema.REVISION)
    assert_whole(first)
    assert versions(first) == [], "the old version table is gone"
    somebody_elses_version(first)
    assert migrate.upgrade(first) == (schema.REVISION, schema.REVISION)
    assert versions(first) == ["v3.2.0.a"]


def test_a_project_can_be_moved(first: str, tmp_path: Path) -> None:
    if not first.startswith("sqlite"):
        pytest.skip("a server has no folder")
    migrate.upgrade(first)
    with begun(first) as connection:
        kept = connection.execute(text("SELECT directory FROM runs")).scalars().all()
    assert all(path.startswith("runs/2026") for path in kept)
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "store", moved)
    with TaskStore.open(f"sqlite:///{moved / 'test.db'}") as store:
        assert store.home == moved
        assert Path(store.run(1).directory).parent == moved / "runs"
        assert Path(store.checkpoints(1)[0].path).is_relative_to(moved / "runs")


def structure(url: str) -> dict[str, Any]:
    """Tables with their columns, and the rows of all runs."""
    with begun(url) as connection:
        found = inspect(connection)
        tables: dict[str, Any] = {
            name: [column["name"] for column in found.get_columns(name)]
            for name in sorted(found.get_table_names())
        }
        rows = connection.execute(text("SELECT * FROM runs ORDER BY id")).all()
    return tables | {"": [tuple(row) for row in rows]}


def test_broken_off_anywhere_it_leaves_the_old_and_goes_through_again(
    first: str,
) -> None:
    """Before each statement in turn something fails, until nothing is left to fail.

    On Postgres, where that takes longer, before each seventh.
    """
    before, at = structure(first), 0
    while True:
        at += 1 if first.startswith("sqlite") else 7
        left = [at]

        def fail(*_: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        event.listen(Engine, "before_cursor_execute", fail)
        try:
            migrate.upgrade(first)
            break
        except KeyboardInterrupt:
            pass
        finally:
            event.remove(Engine, "before_cursor_execute", fail)
        assert structure(first) == before
    assert at > 20
    assert_whole(first)


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from metapipe.store import migrate

@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *_):
    if statement.strip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

migrate.upgrade(sys.argv[1])
"""


@pytest.mark.parametrize("at", ["CREATE TABLE tags", "UPDATE metapipe_version"])
def test_killed_it_leaves_the_old_and_goes_through_again(first: str, at: str) -> None:
    before = structure(first)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, first, at],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL
    assert structure(first) == before
    assert migrate.upgrade(first) == ("0001", schema.REVISION)
    assert_whole(first)


def test_somebody_elses_version_table_is_left_alone(store_url: str) -> None:
    """His first, or ours first; also one at a revision that is called as ours."""
    somebody_elses_version(store_url, "0001")
    assert migrate.current(store_url) is None
    TaskStore.open(store_url).close()
    assert migrate.upgrade(store_url) == (schema.REVISION, schema.REVISION)
    assert versions(store_url) == ["0001"]


def test_optuna_beside_us(store_url: str) -> None:
    optuna = pytest.importorskip("optuna", reason="pip install optuna")
    TaskStore.open(store_url).close()
    url = store_url.replace("postgresql:", "postgresql+psycopg:")
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(storage=storage, study_name="ours first")
    storage.remove_session()
    storage.engine.dispose()
    with TaskStore.open(store_url) as store:
        assert store.runs() == []
