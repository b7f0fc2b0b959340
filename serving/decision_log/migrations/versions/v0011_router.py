"""A column for the router that was asked; decisions from before, which have none, are those of ``default``."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; nothing is written into old rows, because a large log has many."""
    op.add_column("router_decisions", sa.Column("router", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("router_decisions", "router")
