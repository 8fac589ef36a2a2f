"""An evaluation whose episodes have ways and shots of their own says between which, and
each how its tasks were mapped.

Columns are added, which are empty for evaluations that are there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("evaluations", sa.Column("ways_to", sa.Integer(), nullable=True))
    op.add_column("evaluations", sa.Column("shots_to", sa.Integer(), nullable=True))
    op.add_column("evaluations", sa.Column("mapping", sa.String(40), nullable=True))
