"""The tables of the log in a database: a table for each kind of record, with the fields of `log_records`.

Changes need a migration in ``migrations/versions``; a test compares the two. Names begin with ``router_``, as the
database may hold other things. All but ids and times may be null, so that no record can ever be refused.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from router_model.serving.decision_log.rows import FIELDS, FieldType, Kind

VERSION_TABLE: Final = "router_log_version"


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC: with its zone in PostgreSQL, as text without it in SQLite, which has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Leave the zone away where the database has none."""
        return value.astimezone(UTC).replace(tzinfo=None) if value and dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say again that it is UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

_COLUMN_TYPES: Final[dict[FieldType, TypeEngine[Any]]] = {
    FieldType.TEXT: Text(),
    FieldType.NUMBER: Double(),
    FieldType.COUNT: BigInteger(),
    FieldType.FLAG: Boolean(),
    FieldType.TIME: UtcTime(),
    FieldType.JSON: JSON(none_as_null=True),
}


def _table(name: str, kind: Kind, *indexed: str) -> Table:
    names = iter(FIELDS[kind].items())
    row_id, _ = next(names)
    columns = [Column(field, _COLUMN_TYPES[of], nullable=of is not FieldType.TIME) for field, of in names]
    indices = [Index(f"ix_{name}_{field}", field) for field in indexed]
    return Table(name, metadata, Column(row_id, Text(), primary_key=True), *columns, *indices)


TABLES: Final = {
    Kind.DECISION: _table("router_decisions", Kind.DECISION, "created_at", "session_id", "user_id"),
    Kind.ATTEMPT: _table("router_attempts", Kind.ATTEMPT, "created_at", "decision_id", "response_id"),
    Kind.FEEDBACK: _table("router_feedback", Kind.FEEDBACK, "created_at", "decision_id", "response_id"),
    Kind.SESSION: _table("router_sessions", Kind.SESSION, "updated_at"),
}
"""The table of each kind of record; its primary key is the record's id."""
