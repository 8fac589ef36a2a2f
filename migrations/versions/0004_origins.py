"""Where the settings of a run came from is remembered.

A column is added, which is empty for runs that are there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("runs", sa.Column("origins", sa.JSON(), nullable=True))
