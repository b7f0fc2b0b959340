"""Columns for the challenger that was tried beside the router that served."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_COLUMNS = {"challenger": sa.Text(), "challenger_model": sa.Text(), "arm": sa.Text(), "canary_share": sa.Double()}


def upgrade() -> None:
    """Add the columns; decisions that were logged before have none."""
    for name, of in _COLUMNS.items():
        op.add_column("router_decisions", sa.Column(name, of))


def downgrade() -> None:
    """Drop them."""
    for name in _COLUMNS:
        op.drop_column("router_decisions", name)
