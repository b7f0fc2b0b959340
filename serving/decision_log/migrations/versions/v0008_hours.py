"""The table of summaries of hours, for the console."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "router_hours",
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("key_id", sa.Text(), primary_key=True),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("router_hours")
