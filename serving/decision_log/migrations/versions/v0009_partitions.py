"""Tables of PostgreSQL that are partitioned by time; in SQLite nothing changes.

The table with the records so far becomes the partition of all days until the day after tomorrow: no row is copied.
PostgreSQL reads it once, to see that it has no later ones. All of it is one transaction, so who is killed begins again.
"""

from datetime import UTC, datetime, timedelta

from alembic import op
from sqlalchemy import exists, select
from sqlalchemy import table as named

revision = "0009"
down_revision = "0008"

_TABLES = {
    "router_decisions": ("decision_id", "created_at", "session_id", "user_id"),
    "router_attempts": ("attempt_id", "created_at", "decision_id", "response_id"),
    "router_feedback": ("feedback_id", "created_at", "decision_id", "response_id"),
}
"""Each with its id and what is indexed."""


def upgrade() -> None:
    """Make a partitioned table of each name, and attach the one that was there."""
    if op.get_bind().dialect.name != "postgresql":
        return
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    until = (today + timedelta(days=2)).isoformat()
    for table, (row_id, *indexed) in _TABLES.items():
        before = f"{table}_before"
        op.execute(f"ALTER TABLE {table} RENAME TO {before}")
        op.execute(f"ALTER INDEX {table}_pkey RENAME TO {before}_pkey")
        for column in indexed:
            op.execute(f"ALTER INDEX ix_{table}_{column} RENAME TO ix_{before}_{column}")
        op.execute(f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS) PARTITION BY RANGE (created_at)")
        for column in indexed:
            op.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")
        op.execute(f"CREATE TABLE {table}_default (LIKE {table} INCLUDING DEFAULTS)")
        op.execute(f"ALTER TABLE {table}_default ADD PRIMARY KEY ({row_id})")
        op.execute(
            f"WITH strays AS (DELETE FROM {before} WHERE created_at >= '{until}' RETURNING *) "  # noqa: S608  (names are ours)
            f"INSERT INTO {table}_default SELECT * FROM strays"
        )
        if op.get_bind().execute(select(exists().select_from(named(before)))).scalar_one():
            op.execute(f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{until}')")
        else:
            op.execute(f"DROP TABLE {before}")
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_default DEFAULT")


def downgrade() -> None:
    """Copy the records into tables without partitions."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, (row_id, *indexed) in _TABLES.items():
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_parts")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_parts INCLUDING DEFAULTS)")
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_parts ORDER BY created_at")  # noqa: S608
        op.execute(f"DROP TABLE {table}_parts")
        op.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({row_id})")
        for column in indexed:
            op.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")
