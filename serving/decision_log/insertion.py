"""The statement that inserts rows of a kind, compiled once, and rows as its parameters.

Executing a statement object works its parameters out for every row anew, which costs more than all else that is done
with the row here; and the log shares its core with what answers requests.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from router_model.serving.decision_log.rows import FIELDS, FieldType, Kind, Row, json_bytes
from router_model.serving.decision_log.store import RefusedError
from router_model.serving.decision_log.tables import TABLES


class Insertion:
    """How rows of one kind are inserted: one that is there already stays, but a newer session replaces an older one.

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
            raise RefusedError(f"a row is not one of a record: {exc}") from exc

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
    if kind is not Kind.SESSION:
        return statement.on_conflict_do_nothing()
    newer = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[table.c.session_key],
        set_={column.name: newer[column.name] for column in table.columns if not column.primary_key},
        where=table.c.updated_at < newer.updated_at,
    )
