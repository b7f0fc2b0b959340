"""The tables of the first version."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "router_decisions",
        sa.Column("decision_id", sa.Text(), primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
        *_columns(sa.Text(), "model", "reason"),
        *_columns(sa.JSON(), "candidates", "excluded"),
        *_columns(sa.Text(), "artifact", "policy_version"),
        *_columns(sa.Double(), "quality_bar", "target_success", "threshold", "success_value_usd", "quality_value_usd"),
        *_columns(sa.Boolean(), "certified", "explored", "degraded", "shadow"),
        *_columns(sa.Text(), "session_id", "user_id", "key_id", "surface", "prompt_sha256", "messages"),
        *_columns(sa.BigInteger(), "n_input_tokens"),
        *_columns(sa.Double(), "decision_s"),
    )
    op.create_table(
        "router_attempts",
        sa.Column("attempt_id", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "decision_id"),
        sa.Column("created_at", _TIME, nullable=False),
        *_columns(sa.Text(), "model", "provider", "response_id", "response_model", "finish_reason"),
        *_columns(sa.BigInteger(), "status"),
        *_columns(sa.Text(), "error_type"),
        *_columns(
            sa.BigInteger(),
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        ),
        *_columns(sa.Double(), "cost_usd", "latency_s", "first_token_s"),
        *_columns(sa.Text(), "key_id"),
    )
    op.create_table(
        "router_feedback",
        sa.Column("feedback_id", sa.Text(), primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
        *_columns(sa.Text(), "decision_id", "response_id"),
        *_columns(sa.Double(), "score"),
        *_columns(sa.Text(), "source", "metric", "comment", "key_id"),
    )
    op.create_table(
        "router_sessions",
        sa.Column("session_key", sa.Text(), primary_key=True),
        *_columns(sa.Text(), "model"),
        sa.Column("updated_at", _TIME, nullable=False),
        *_columns(sa.BigInteger(), "n_input_tokens"),
    )
    _index("router_decisions", "created_at", "session_id", "user_id")
    _index("router_attempts", "created_at", "decision_id", "response_id")
    _index("router_feedback", "created_at", "decision_id", "response_id")
    _index("router_sessions", "updated_at")


def downgrade() -> None:
    """Drop the tables."""
    for table in ("router_sessions", "router_feedback", "router_attempts", "router_decisions"):
        op.drop_table(table)


def _columns(of: sa.types.TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, of) for name in names]


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])
