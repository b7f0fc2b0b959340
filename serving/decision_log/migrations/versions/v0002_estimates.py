"""Columns for the estimated parts of an attempt, and for what budgets count."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; attempts that were logged before have neither."""
    op.add_column("router_attempts", sa.Column("usage_estimated", sa.Text()))
    op.add_column("router_attempts", sa.Column("budget_usd", sa.Double()))


def downgrade() -> None:
    """Drop them."""
    for column in ("budget_usd", "usage_estimated"):
        op.drop_column("router_attempts", column)
