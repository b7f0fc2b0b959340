"""A column for the sealed features of prompts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; decisions that were logged before have no features."""
    op.add_column("router_decisions", sa.Column("prompt_features", sa.Text()))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("router_decisions", "prompt_features")
