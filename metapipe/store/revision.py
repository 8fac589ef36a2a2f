"""Which revision a database is at, in a version table of our own name.

Alembic's default name is anybody's: Optuna, which may keep its studies in the same
database, uses it. So did revision 0001: such a table is ours if our runs are there.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

TABLE = "metapipe_version"
DEFAULT, FIRST = "alembic_version", "0001"


def stamped(connection: Connection) -> str | None:
    """The revision of our tables; None if there are none."""
    if inspect(connection).has_table(TABLE):
        found = connection.execute(text(f"SELECT version_num FROM {TABLE}"))
        return found.scalar_one_or_none()
    return FIRST if _under_the_default_name(connection) else None


def adopt(connection: Connection) -> None:
    """Move the version of a database of revision 0001 to our own table."""
    # Not renamed: on Postgres the old name of its key would stay, in Optuna's way.
    if not inspect(connection).has_table(TABLE) and _under_the_default_name(connection):
        connection.execute(
            text(
                f"CREATE TABLE {TABLE} (version_num VARCHAR(32) NOT NULL, "
                f"CONSTRAINT {TABLE}_pkc PRIMARY KEY (version_num))"
            )
        )
        connection.execute(text(f"INSERT INTO {TABLE} VALUES ('{FIRST}')"))
        connection.execute(text(f"DROP TABLE {DEFAULT}"))


def _under_the_default_name(connection: Connection) -> bool:
    tables = inspect(connection)
    if not (tables.has_table(DEFAULT) and tables.has_table("runs")):
        return False
    if "heartbeat" not in {column["name"] for column in tables.get_columns("runs")}:
        return False
    versions = connection.execute(text(f"SELECT version_num FROM {DEFAULT}"))
    return list(versions.scalars()) == [FIRST]
