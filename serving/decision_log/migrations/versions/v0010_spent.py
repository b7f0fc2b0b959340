"""A column for what a key spent in an hour; hours that were summed up before are summed up again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("router_hours", sa.Column("spent_usd", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("router_hours", "spent_usd")
