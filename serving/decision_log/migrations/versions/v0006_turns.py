"""Columns for what a request is besides its messages: its type, its tools, and the answer that it asks for."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "turn_type": sa.Text(),
    "tools": sa.Text(),
    "response_format": sa.Text(),
    "max_output_tokens": sa.BigInteger(),
}


def upgrade() -> None:
    """Add the columns; decisions that were logged before have none."""
    for name, of in _COLUMNS.items():
        op.add_column("router_decisions", sa.Column(name, of))


def downgrade() -> None:
    """Drop them."""
    for name in _COLUMNS:
        op.drop_column("router_decisions", name)
