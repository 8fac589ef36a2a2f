"""Where a store is: read as it is written, and shown without what is secret."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import make_url
from store_rows import RUN

from metapipe.errors import StoreError, StoreUrlError
from metapipe.store import TaskStore, default_url, mask, whole_url

SECRET = "S3cret-Pw"


def path_of(url: str, folder: Path) -> str | None:
    return make_url(whole_url(url, folder)).database


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///m.db", "PROJECT/m.db"),
        ("sqlite:///sub/m.db", "PROJECT/sub/m.db"),
        ("sqlite:///~/m.db", "HOME/m.db"),
        ("sqlite:////x/m.db", "/x/m.db"),
        ("sqlite:///a%20b%3F.db", "PROJECT/a b?.db"),
        ("m.db", "PROJECT/m.db"),
        (" ~/m.sqlite ", "HOME/m.sqlite"),
        ("file:m.db", "PROJECT/m.db"),
        ("file:///x/m.db?mode=rw", "/x/m.db"),
        ("sqlite:///file:a%20b.db?uri=true", "PROJECT/a b.db"),
    ],
)
def test_a_file_is_found_from_home_and_from_where_it_stands(
    url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/the/home")
    whole = path.replace("PROJECT", str(tmp_path)).replace("HOME", "/the/home")
    assert path_of(url, tmp_path) == whole


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "a#b", "é", "a:b@c", "%20"])
def test_a_project_may_have_any_name(name: str, tmp_path: Path) -> None:
    url = default_url(tmp_path / name)
    assert make_url(url).database == str(tmp_path / name / ".metapipe" / "metapipe.db")
    with TaskStore.open(url) as store:
        assert store.home == tmp_path / name / ".metapipe"
    assert (tmp_path / name / ".metapipe" / "metapipe.db").is_file()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://m.db", "three slashes"),
        ("sqlite://", "outlive"),
        ("sqlite:///:memory:", "outlive"),
        ("sqlite:///file::memory:?uri=true", "outlive"),
        ("file:m.db?mode=memory", "outlive"),
        ("file:m.db?mode=or", "known: ro, rw"),
        ("file:m.db?mdoe=ro", "no option 'mdoe'; did you mean 'mode'"),
        ("$HOME/m.db", "write ~"),
        ("sqlite:///$HOME/m.db", "write ~"),
        ("postgres", r"for a file: sqlite:///postgres"),
        ("mysql://u@h/d", "no store for 'mysql'"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_store_is_said(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUrlError, match=message):
        whole_url(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


URLS = (
    f"host=h password={SECRET}",
    f"host=h password='{SECRET}'",
    f"user=u password={SECRET} dbname=m.db",
    f"postgresql://u:{SECRET}@h/d",
    f"postgresql://u:a{SECRET}%40@h/d",
    f"postgresql://u:a@{SECRET}@h/d",
    f"postgresql://u/x:{SECRET}@h/d",
    f"postgresql://u:x#{SECRET}@h/d",
    f"postgresql://u:{SECRET}@h:port/d",
    f"postgresql://h/d?password={SECRET}",
    f"postgresql://h/d?sslpassword={SECRET}&user=u",
    f"postgresql://h/d?options=-c%20my.password%3D{SECRET}",
    f"postgresql://h/d?sslmode={SECRET}",
    f"postgresql://h/d?passfile=/{SECRET}",
    f"mysql://u:{SECRET}@h/d",
    f"u:{SECRET}@h/d",
)


@pytest.mark.parametrize("url", URLS)
def test_no_password_is_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metapipe.store.database.BRIEF", 0)
    assert SECRET not in mask(url)
    nobody = url.replace("@h", "@127.0.0.1:1").replace("//h", "//127.0.0.1:1")
    with pytest.raises(StoreError) as raised:
        TaskStore.open(nobody)
    assert SECRET not in str(raised.value)


def test_what_is_no_secret_is_shown() -> None:
    url = "postgresql+psycopg2://u:secret@h:5432/d?sslmode=require&options=x"
    assert mask(url) == "postgresql://u:***@h:5432/d?options=***&sslmode=require"


def test_any_driver_of_postgres_is_ours(postgres) -> None:
    url = postgres().replace("postgresql:", "postgresql+psycopg2:")
    with TaskStore.open(url) as store:
        assert store.count_runs() == 0


def test_a_file_opened_to_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with TaskStore.open(str(path)) as store:
        store.close()
    before = path.read_bytes()
    for url in (
        f"file:{path}?mode=ro",
        f"sqlite:///{path}?mode=ro",
        f"file:{path}?immutable=1",
    ):
        with TaskStore.open(url) as store:
            assert store.runs() == []
            with pytest.raises(
                StoreError, match="read-only: it was opened with mode=ro"
            ):
                store.begin_run(RUN)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.db"]
    with pytest.raises(StoreError):
        TaskStore.open(f"file:{tmp_path / 'none.db'}?mode=ro")
    assert not (tmp_path / "none.db").exists()


OPTUNA = ("studies", "trials", "alembic_version")
MLFLOW = ("runs", "metrics", "tags", "experiments", "alembic_version")


def foreign(path: Path, tables: tuple[str, ...]) -> str:
    with sqlite3.connect(path) as connection:
        for table in tables:
            connection.execute(
                f"CREATE TABLE {table} (version_num TEXT, run_uuid TEXT)"
            )
        connection.execute("INSERT INTO alembic_version VALUES ('v3.0.0.d', '')")
    connection.close()
    return f"sqlite:///{path}"


@pytest.mark.parametrize("tables", [OPTUNA, MLFLOW])
def test_another_programs_database_is_told_of(tables, tmp_path: Path) -> None:
    url = foreign(tmp_path / "theirs.db", tables)
    before = (tmp_path / "theirs.db").read_bytes()
    with pytest.raises(StoreError, match="no task store of metapipe"):
        TaskStore.find(url)
    assert (tmp_path / "theirs.db").read_bytes() == before


def test_tables_of_our_names_are_left_alone(tmp_path: Path) -> None:
    url = foreign(tmp_path / "mlflow.db", MLFLOW)
    with pytest.raises(StoreError, match="with tables metrics, runs, tags, whose"):
        TaskStore.open(url)
    TaskStore.open(foreign(tmp_path / "optuna.db", OPTUNA)).close()
    with TaskStore.find(f"sqlite:///{tmp_path / 'optuna.db'}") as store:
        assert store.runs() == []


def test_what_nobody_began_is_not_found_and_not_made(store_url: str) -> None:
    assert TaskStore.find(store_url) is None
    assert TaskStore.find(store_url) is None
    with TaskStore.empty() as store:
        assert store.runs("accuracy>0.5", sort="-name") == []
