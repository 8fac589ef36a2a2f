"""Alembic, configured in code: the same from a checkout and from a wheel.

Alembic itself is imported when there is something to migrate: a store is opened at
every start, and nearly always it is as it should be.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from ..errors import OutdatedSchemaError, StoreError
from .address import is_there, mask
from .database import Database
from .engine import make_room, migrating
from .revision import adopt, stamped
from .schema import REVISION, Base

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

SHOWN = 5
"""Tables of another program that are named."""

ADVISORY_LOCK = 0x6D657461
"""Postgres's name for "somebody is migrating"."""


def migrations_dir() -> Path:
    """The migration scripts: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def scripts() -> ScriptDirectory:
    """All migration scripts, in a checkout or in the wheel."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def current(url: str) -> str | None:
    """The schema revision of the database at `url`; None if it has no tables of ours.

    Raises StoreError.
    """
    with closing(Database(url)) as database:
        return _stamped(database) if is_there(database.engine.url) else None


def upgrade(url: str) -> tuple[str | None, str]:
    """Migrate the database at `url`; returns its revisions before and after.

    Raises StoreError, and OutdatedSchemaError if a newer metapipe made it.
    """
    make_room(url)
    with closing(Database(url)) as database:
        before = _stamped(database)
        if before is not None:
            _require_known(before, database)
        _migrate(database)
        return before, REVISION


def require_tables(url: str) -> None:
    """Raise StoreError if the database at `url` has no tables of ours."""
    if current(url) is None:
        raise StoreError(f"there are no runs in {mask(url)}: train one, or check --db")


def require_current(database: Database) -> None:
    """Create the tables of a new database; refuse those of another version.

    Raises StoreError, OutdatedSchemaError.
    """
    found = _stamped(database)
    if found is None:
        _migrate(database)
    elif found != REVISION:
        _require_known(found, database)
        raise OutdatedSchemaError(
            f"the store {database.masked} is at schema {found}, this metapipe needs "
            f"{REVISION}: run 'metapipe db upgrade' with the same --db"
        )


def is_begun(database: Database) -> bool:
    """Whether there are tables of ours, of whatever version.

    Raises StoreError if there are only somebody else's.
    """
    if not is_there(database.engine.url):
        return False
    theirs = _tables(database)  # first: ours come together with their version
    if _stamped(database) is not None:
        return True
    if theirs:
        raise StoreError(
            f"{database.masked} is no task store of metapipe but a database of another "
            f"program, with tables {_some(theirs)}: name the store by --db"
        )
    return False


def _migrate(database: Database) -> None:
    """Bring the schema to this version's, all or nothing, one process at a time."""
    from alembic import command

    _require_room(database)
    with database.translated(), migrating(database.engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        adopt(connection)
        command.upgrade(_config(connection), REVISION)


def _require_known(found: str, database: Database) -> None:
    if found not in {script.revision for script in scripts().walk_revisions()}:
        raise OutdatedSchemaError(
            f"the store {database.masked} is at schema {found}, which this metapipe "
            "does not know: it was made by a newer metapipe; upgrade metapipe"
        )


def _require_room(database: Database) -> None:
    """Refuse a database where somebody else's tables have the names of ours."""
    theirs = _tables(database) & set(Base.metadata.tables)
    if theirs and _stamped(database) is None:  # in that order, as others may begin it
        raise StoreError(
            f"{database.masked} is a database of another program, with tables "
            f"{_some(theirs)}, whose names ours would have: name another by --db"
        )


def _tables(database: Database) -> set[str]:
    with database.reading() as session:
        return set(inspect(session.connection()).get_table_names())


def _some(names: Collection[str]) -> str:
    """The first few."""
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (", ..." if len(names) > SHOWN else "")


def _stamped(database: Database) -> str | None:
    with database.reading() as session:
        return stamped(session.connection())


def _config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; `migrations/env.py` finds the connection in it."""
    from alembic.config import Config

    config = Config()
    folder = str(migrations_dir()).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config
