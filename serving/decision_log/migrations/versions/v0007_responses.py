"""The table of responses that are kept for their callers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TEXTS = (
    *("response_id", "previous_key", "key_id", "user_id", "session_id", "decision_id"),
    *("input", "output", "response"),
)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "router_responses",
        sa.Column("response_key", sa.Text(), primary_key=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text()) for name in _TEXTS),
    )
    for column in ("updated_at", "session_id", "user_id"):
        op.create_index(f"ix_router_responses_{column}", "router_responses", [column])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("router_responses")
