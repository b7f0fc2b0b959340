"""Records as rows: the form that the spool, the tables and the Parquet segments share.

A row is a dict with the fields of its record; times are UTC, `candidates` a dict with one list a field (a third of
the size of a list of dicts, and three times as fast to write) and `excluded` a list of pairs. Rows are made such
that every store takes them: what a database would refuse (NUL characters, lone surrogates, numbers that are not
finite or beyond 64 bits) is replaced here, and long texts by their hash (`router_model.serving.decision_log.texts`).
Fields that were added later are None if an older row lacks them, and unknown ones are left out.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypeAlias

import orjson

from router_model.serving.decision_log.log_records import (
    AttemptRecord,
    DecisionRecord,
    FeedbackRecord,
    LoggedCandidate,
    LogRecord,
    ResponseRecord,
    SessionRecord,
)
from router_model.serving.decision_log.texts import MOST_BYTES, bounded

Row: TypeAlias = dict[str, Any]


class Kind(StrEnum):
    """The kinds of records."""

    DECISION = "decision"
    ATTEMPT = "attempt"
    FEEDBACK = "feedback"
    SESSION = "session"
    RESPONSE = "response"


NEWEST_COUNTS: Final = frozenset({Kind.SESSION, Kind.RESPONSE})
"""Kinds whose records change: of those with one id the newest counts. Of the others the first one stays."""


Batch: TypeAlias = dict[Kind, list[Row]]
"""Rows by kind; a kind without rows may be absent."""


class FieldType(StrEnum):
    """The type of a field."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    FLAG = "flag"
    TIME = "time"
    JSON = "json"


RECORD_TYPES: Final[dict[Kind, type[LogRecord]]] = {
    Kind.DECISION: DecisionRecord,
    Kind.ATTEMPT: AttemptRecord,
    Kind.FEEDBACK: FeedbackRecord,
    Kind.SESSION: SessionRecord,
    Kind.RESPONSE: ResponseRecord,
}

_TYPE_OF: Final[dict[Any, FieldType]] = {
    str: FieldType.TEXT,
    str | None: FieldType.TEXT,
    float: FieldType.NUMBER,
    float | None: FieldType.NUMBER,
    int: FieldType.COUNT,
    int | None: FieldType.COUNT,
    bool: FieldType.FLAG,
    datetime: FieldType.TIME,
}

FIELDS: Final[dict[Kind, dict[str, FieldType]]] = {
    kind: {field.name: _TYPE_OF.get(field.type, FieldType.JSON) for field in fields(cls)}
    for kind, cls in RECORD_TYPES.items()
}
"""The fields of each kind, in order; the first is its id."""

ID_FIELD: Final = {kind: next(iter(names)) for kind, names in FIELDS.items()}
TIME_FIELD: Final = {kind: "updated_at" if kind in NEWEST_COUNTS else "created_at" for kind in Kind}

_KIND_OF: Final = {cls: kind for kind, cls in RECORD_TYPES.items()}
_CANDIDATE_FIELDS: Final = tuple(field.name for field in fields(LoggedCandidate))
_CANDIDATE_VALUES: Final = attrgetter(*_CANDIDATE_FIELDS)
_LARGEST: Final = 2**63 - 1
_MOST_BYTES_A_CHAR: Final = 4
_WHOLE: Final = frozenset(
    {"messages", "prompt_features", "comment", "tools", "response_format", "input", "output", "response"}
)
"""Texts that are never shortened, because no index covers them and their sources bound them."""
WHOLE_TEXTS: Final = {kind: tuple(name for name in names if name in _WHOLE) for kind, names in FIELDS.items()}
"""Fields that may be long."""
_IN_JSON: Final[dict[FieldType, tuple[type, ...]]] = {
    FieldType.TEXT: (str,),
    FieldType.NUMBER: (float, int),
    FieldType.COUNT: (int,),
    FieldType.FLAG: (bool,),
    FieldType.TIME: (str,),
    FieldType.JSON: (dict, list),
}
"""As what `row_json` writes the values of fields; any may be null but times."""


class _Layout:
    """The facts about a kind that `row_of` needs, computed once."""

    def __init__(self, kind: Kind) -> None:
        by_type = {wanted: [n for n, t in FIELDS[kind].items() if t is wanted] for wanted in FieldType}
        self.names = tuple(FIELDS[kind])
        self.values: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.names)
        self.texts = [name for name in by_type[FieldType.TEXT] if name not in _WHOLE]
        self.whole_texts = [name for name in by_type[FieldType.TEXT] if name in _WHOLE]
        self.numbers = by_type[FieldType.NUMBER]
        self.counts = by_type[FieldType.COUNT]
        self.time = TIME_FIELD[kind]


_LAYOUTS: Final = {kind: _Layout(kind) for kind in Kind}


def kind_of(record: LogRecord) -> Kind:
    """Return the kind of a record.

    Raises
    ------
    KeyError
        If it is none of ours.
    """
    return _KIND_OF[type(record)]


def row_of(record: LogRecord) -> tuple[Kind, Row]:
    """Turn a record into a row that every store takes."""
    kind = kind_of(record)
    layout = _LAYOUTS[kind]
    row: Row = dict(zip(layout.names, layout.values(record), strict=True))
    for name in layout.numbers:
        if row[name] is not None and not math.isfinite(row[name]):
            row[name] = None
    _clean(row, layout)
    if kind is Kind.DECISION:
        columns = zip(*map(_CANDIDATE_VALUES, row["candidates"]), strict=True)
        row["candidates"] = dict(zip(_CANDIDATE_FIELDS, columns, strict=False))
    return kind, row


def batch_of(rows: Iterable[tuple[Kind, Row]]) -> Batch:
    """Sort rows by kind, keeping their order."""
    batch: Batch = {}
    for kind, row in rows:
        batch.setdefault(kind, []).append(row)
    return batch


def n_rows(batch: Batch) -> int:
    """Count the rows of a batch."""
    return sum(map(len, batch.values()))


def record_of(kind: Kind, row: Row) -> LogRecord:
    """Turn a row back into its record."""
    values: dict[str, Any] = {name: row.get(name) for name in FIELDS[kind]}
    if kind is Kind.DECISION:
        columns = values["candidates"] or {}
        n = len(columns.get("model", ()))
        by_field = (columns.get(name, [None] * n) for name in _CANDIDATE_FIELDS)
        values["candidates"] = tuple(LoggedCandidate(*each) for each in zip(*by_field, strict=True))
        values["excluded"] = tuple((model, reason) for model, reason in values["excluded"] or ())
    return RECORD_TYPES[kind](**values)


# --- JSON ------------------------------------------------------------------------------------------------


def json_bytes(value: object) -> bytes:
    r"""Write JSON in UTF-8; lone surrogates become ``?``.

    >>> json_bytes({"model": "a\ud800", "p": 0.5})
    b'{"model":"a?","p":0.5}'
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_deeply(value))


def row_json(kind: Kind, row: Row) -> bytes:
    """Write a row with its kind as one line of JSON, without the line's end."""
    return json_bytes([kind, row])


def row_of_json(line: bytes) -> tuple[Kind, Row]:
    """Read what `row_json` wrote.

    Raises
    ------
    ValueError
        If it is not that.
    """
    written = orjson.loads(line)
    if not isinstance(written, list) or len(written) != len(("kind", "row")) or not isinstance(written[1], dict):
        raise ValueError("it is not a record; expected a list of a kind and an object of its fields")
    kind, given = Kind(written[0]), written[1]
    layout = _LAYOUTS[kind]
    for name, of in FIELDS[kind].items():
        value = given.get(name)
        # In Python a bool is an int, so a count or a number would let it through.
        is_other = isinstance(value, bool) and of is not FieldType.FLAG
        if is_other or (not isinstance(value, _IN_JSON[of]) and (value is not None or of is FieldType.TIME)):
            raise ValueError(f"{name} is {type(value).__name__}; expected {of.value}")
    row: Row = {name: given[name] for name in layout.names if name in given}
    row[layout.time] = datetime.fromisoformat(row[layout.time])
    _clean(row, layout)
    return kind, row


# --- cleaning --------------------------------------------------------------------------------------------


def _clean(row: Row, layout: _Layout) -> None:
    """Replace what a store would not take; fields may be missing."""
    for name in layout.counts:
        if row.get(name) is not None:
            # Databases have integers of 64 bits, and refuse a row with a larger one.
            row[name] = max(-_LARGEST, min(row[name], _LARGEST))
    _clean_texts(row, layout)
    row[layout.time] = _utc(row[layout.time])


def _utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is taken to be in it."""
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:  # within a day of the first or the last year
        return time.replace(tzinfo=UTC)


def _clean_texts(row: Row, layout: _Layout) -> None:
    """Replace what no database takes; most rows have nothing of the kind and are looked at once, as a whole."""
    joined = "".join([row.get(name) or "" for name in layout.texts])
    n_bytes = len(joined) * (1 if joined.isascii() else _MOST_BYTES_A_CHAR)
    if n_bytes > MOST_BYTES or not _is_storable(joined):
        for name in layout.texts:
            if row.get(name) is not None:
                row[name] = bounded(_clean_text(row[name]))
    for name in layout.whole_texts:
        if row.get(name) is not None and not _is_storable(row[name]):
            row[name] = _clean_text(row[name])


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _clean_text(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")


def _deeply(value: Any) -> Any:
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict):
        return {_deeply(key): _deeply(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_deeply(inner) for inner in value]
    return value
