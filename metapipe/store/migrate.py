"""Alembic, configured in code: the same from a checkout and from a wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, text

from ..errors import OutdatedSchemaError
from .schema import REVISION

ADVISORY_LOCK = 0x6D657461
"""Postgres's name for "somebody is migrating"."""


def migrations_dir() -> Path:
    """The migration scripts: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def current(engine: Engine) -> str | None:
    """The revision of the database; None if it has no tables of ours."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's schema; one process at a time."""
    with _alone(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, REVISION)


def require_current(engine: Engine, url: str) -> None:
    """Create the tables of a new database; refuse those of another version.

    `url` is masked, for the message. Raises OutdatedSchemaError.
    """
    found = _stamped(engine)
    if found is None:
        upgrade(engine)
    elif found != REVISION:
        known = {script.revision for script in _scripts().walk_revisions()}
        if found in known:
            raise OutdatedSchemaError(
                f"the store {url} is at schema {found}, this metapipe needs {REVISION}"
                ": run 'metapipe db upgrade'"
            )
        raise OutdatedSchemaError(
            f"the store {url} is at schema {found}, which this metapipe does not know: "
            "it was made by a newer one; upgrade metapipe"
        )


def _stamped(engine: Engine) -> str | None:
    """The revision, without Alembic's help: this runs at every start."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version"))
        return found.scalar_one_or_none()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other process migrates beside."""
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.lock"), engine.begin() as connection:
            yield connection
        return
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        yield connection


def _config() -> Config:
    config = Config()
    folder = str(migrations_dir()).replace("%", "%%")
    config.set_main_option("script_location", folder)
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
