"""Migrations: models and scripts agree, old databases come along, in both worlds."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from metapipe.errors import OutdatedSchemaError
from metapipe.store import TaskStore, schema
from metapipe.store import engine as engines
from metapipe.store.migrate import _scripts, current, upgrade


@contextmanager
def connect(url: str) -> Iterator[Engine]:
    engine = engines.connect(url)
    yield engine
    engine.dispose()


DATABASES = Path(__file__).parent / "databases"


def test_the_schema_names_the_newest_migration() -> None:
    assert _scripts().get_current_head() == schema.REVISION


def test_models_and_migrations_agree(store_url: str) -> None:
    TaskStore.open(store_url).close()
    with connect(store_url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.Base.metadata) == []


def test_upgrading_twice_changes_nothing(store_url: str) -> None:
    with connect(store_url) as engine:
        upgrade(engine)
        upgrade(engine)
        assert current(engine) == schema.REVISION


@pytest.mark.parametrize("path", sorted(DATABASES.glob("*.db")), ids=lambda p: p.stem)
def test_every_past_database_can_be_upgraded_and_read(path: Path, tmp_path) -> None:
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    engine = create_engine(f"sqlite:///{copy}")
    assert current(engine) == path.stem
    upgrade(engine)
    engine.dispose()
    with TaskStore.open(f"sqlite:///{copy}") as store:
        run = store.run("kept")
        assert run.algorithm == "maml"
        assert run.config["training"]["lr"] == 0.01
        assert [m.value for m in store.metrics(run.id, "loss")] == [1.5, 0.75]
        (evaluation,) = store.evaluations(run.id)
        assert evaluation.accuracy == 0.875
        assert len(store.episodes(run.id)) == 3
        assert store.checkpoints(run.id)[0].sha256 == "0" * 64


def test_there_is_a_database_of_every_revision() -> None:
    revisions = {script.revision for script in _scripts().walk_revisions()}
    assert {path.stem for path in DATABASES.glob("*.db")} == revisions


def test_a_newer_database_is_refused(store_url: str) -> None:
    TaskStore.open(store_url).close()
    with connect(store_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OutdatedSchemaError, match="made by a newer one"):
        TaskStore.open(store_url)


def test_an_older_database_names_the_command(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it will look once there is a second migration."""
    TaskStore.open(store_url).close()
    monkeypatch.setattr("metapipe.store.migrate.REVISION", "0002")
    with pytest.raises(
        OutdatedSchemaError, match="run 'metapipe db upgrade'"
    ) as caught:
        TaskStore.open(store_url)
    assert "\n" not in str(caught.value)


def test_somebody_elses_database_gets_our_tables_beside_his(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
    TaskStore.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"theirs", "runs", "episodes"} <= names
