"""Columns for the decisions that the sender of a report may speak about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = ("router_attempts", "router_feedback")


def upgrade() -> None:
    """Add the column; records that were logged before have none."""
    for table in _TABLES:
        op.add_column(table, sa.Column("authority", sa.Text()))


def downgrade() -> None:
    """Drop it."""
    for table in _TABLES:
        op.drop_column(table, "authority")
