"""Migrations: models and scripts agree, old databases come along, in both worlds."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import OutdatedSchemaError, StoreError
from metapipe.store import TaskStore, migrate, revision, schema
from metapipe.store import engine as engines

DATABASES = Path(__file__).parents[1] / "databases"
KEPT = sorted(DATABASES.glob("????.db"))
LATER = """
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("later", sa.Integer(), server_default="7"))
        table.alter_column("device", existing_type=sa.String(40), type_=sa.Text())
"""


@contextmanager
def connect(url: str) -> Iterator[Engine]:
    engine = engines.connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this metapipe a later one, whose next migration is the given script."""

    def become(script: str) -> None:
        folder = shutil.copytree(migrate.migrations_dir(), tmp_path / "migrations")
        (folder / "versions" / "0006_later.py").write_text(script)
        monkeypatch.setattr(migrate, "migrations_dir", lambda: folder)
        monkeypatch.setattr(migrate, "REVISION", "0006")

    return become


def test_the_schema_names_the_newest_migration() -> None:
    assert migrate.scripts().get_current_head() == schema.REVISION


def test_models_and_migrations_agree(store_url: str) -> None:
    TaskStore.open(store_url).close()
    with connect(store_url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": revision.TABLE,
            },
        )
        assert compare_metadata(context, schema.Base.metadata) == []


def test_upgrading_twice_changes_nothing(store_url: str) -> None:
    assert migrate.current(store_url) is None
    assert migrate.upgrade(store_url) == (None, schema.REVISION)
    assert migrate.upgrade(store_url) == (schema.REVISION, schema.REVISION)
    assert migrate.current(store_url) == schema.REVISION


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_every_past_database_can_be_upgraded_and_read(path: Path, tmp_path) -> None:
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    assert migrate.upgrade(f"sqlite:///{copy}") == (path.stem, schema.REVISION)
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
    revisions = {script.revision for script in migrate.scripts().walk_revisions()}
    assert {path.stem for path in KEPT} == revisions


def test_a_newer_database_is_refused(store_url: str) -> None:
    TaskStore.open(store_url).close()
    with connect(store_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE metapipe_version SET version_num = '9999'"))
    with pytest.raises(OutdatedSchemaError, match="made by a newer metapipe"):
        TaskStore.open(store_url)


def test_an_older_database_names_the_command_and_loses_nothing(
    store_url: str, later: Callable[[str], None]
) -> None:
    """SQLite alters `runs` by dropping the old one, which all other tables refer to."""
    with TaskStore.open(store_url) as store:
        run_id = store.begin_run(replace(RUN, name="kept"))
        store.record_metrics(run_id, 1, {"loss": 1.0})
        store.record_evaluation(run_id, EVALUATION, episodes(3))
    later(LATER)
    with pytest.raises(OutdatedSchemaError, match="'metapipe db upgrade'") as caught:
        TaskStore.open(store_url)
    assert "\n" not in str(caught.value)
    assert migrate.upgrade(store_url) == ("0005", "0006")
    with TaskStore.open(store_url) as store:
        assert store.run("kept").id == run_id
        assert len(store.metrics(run_id)) == len(store.evaluations(run_id)) == 1
        assert len(store.episodes(run_id)) == 3
        store.delete_run(run_id)
        assert store.episodes(run_id) == [], "rows still belong to their run"


def test_a_migration_that_breaks_off_leaves_the_old_schema(
    store_url: str, later: Callable[[str], None]
) -> None:
    TaskStore.open(store_url).close()
    later(LATER + "    op.execute('this is not SQL')\n")
    with pytest.raises(StoreError, match="syntax error"):
        migrate.upgrade(store_url)
    assert migrate.current(store_url) == "0005"
    with connect(store_url) as engine:
        names = [column["name"] for column in inspect(engine).get_columns("runs")]
        tables = inspect(engine).get_table_names()
    assert "later" not in names
    assert not [name for name in tables if name.startswith("_alembic")]


def test_somebody_elses_database_gets_our_tables_beside_his(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
    TaskStore.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"theirs", "runs", "episodes"} <= names
