"""What Alembic runs for each command: on the connection it is handed, or (for `alembic
revision` in a checkout) on the store that METAPIPE_DB names.
"""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from metapipe.store.revision import TABLE
from metapipe.store.schema import Base


def run(connection: Connection) -> None:
    """Migrate in one transaction; batch mode, since SQLite cannot alter tables."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = os.environ.get("METAPIPE_DB", "sqlite:///.metapipe/metapipe.db")
    with create_engine(url).begin() as connection:
        run(connection)
