"""The tables of the log in a database, one for each kind of record, and how rows are inserted.

Changes need a migration in ``migrations/versions``; a test compares the two. Names begin with ``router_``, as the
database may hold other things. All but ids and times may be null, so that no record can ever be refused.
"""

from collections.abc import Sequence
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
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from router_model.serving.decision_log.rows import FIELDS, ID_FIELD, NEWEST_COUNTS, FieldType, Kind, Row, json_bytes
from router_model.serving.decision_log.store import RefusedError

VERSION_TABLE: Final = "router_log_version"


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC: with its zone in PostgreSQL, as text without it in SQLite, which has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Drop the time zone if the database does not store one."""
        return value.astimezone(UTC).replace(tzinfo=None) if value and dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone UTC again."""
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
    Kind.RESPONSE: _table("router_responses", Kind.RESPONSE, "updated_at", "session_id", "user_id"),
}
"""The table of each kind of record; its primary key is the record's id."""


HOURS: Final = Table(
    "router_hours",
    metadata,
    Column("hour", UtcTime(), primary_key=True),
    Column("key_id", Text(), primary_key=True),
    Column("claim", Text(), nullable=False),
    Column("summary", JSON(none_as_null=True)),
    Column("spent_usd", Double()),
)
"""Summaries of hours (`router_model.serving.decision_log.rolled_hours`)."""


class Insertion:
    """How rows of one kind are inserted: one that is there already stays, or the newer one (`rows.NEWEST_COUNTS`).

    The statement is compiled once. Executing a statement object works its parameters out for every row anew, which
    costs more than all else that is done with the row; and the log shares its core with what answers requests.

    Attributes
    ----------
    statement : str
        For the driver.
    """

    def __init__(self, kind: Kind, dialect: Dialect) -> None:
        is_sqlite = dialect.name == "sqlite"
        insert: Any = sqlite.insert if is_sqlite else postgresql.insert
        compiled = _insert(TABLES[kind], kind, insert).compile(dialect=dialect)
        self.statement = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._json = [name for name, of in FIELDS[kind].items() if of is FieldType.JSON]
        self._times = [name for name, of in FIELDS[kind].items() if of is FieldType.TIME and is_sqlite]

    def parameters(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Return the parameters of rows.

        Raises
        ------
        RefusedError
            If one has a value of a type that its field has not.
        """
        try:
            return [self._values(row) for row in rows]
        except (AttributeError, TypeError) as exc:
            raise RefusedError(f"a row does not fit its table: {exc}") from exc

    def _values(self, row: Row) -> tuple[Any, ...]:
        values = row.copy()
        for name in self._json:
            values[name] = None if row.get(name) is None else json_bytes(row[name]).decode()
        for name in self._times:
            # as SQLAlchemy's DateTime writes and reads it; strftime's %Y has fewer digits for early years
            values[name] = row[name].replace(tzinfo=None).isoformat(" ", "microseconds")
        return tuple([values.get(name) for name in self._names])


def _insert(table: Table, kind: Kind, insert: Any) -> Any:
    statement = insert(table)
    if kind not in NEWEST_COUNTS:
        return statement.on_conflict_do_nothing()
    newer = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[table.c[ID_FIELD[kind]]],
        set_={column.name: newer[column.name] for column in table.columns if not column.primary_key},
        # A replayed spool brings old rows late, and they must not replace newer ones.
        where=table.c.updated_at < newer.updated_at,
    )
