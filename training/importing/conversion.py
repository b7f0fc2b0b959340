"""The result type of converters, and small helper functions that the adapters share."""

import ast
import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from router_model.training.importing.problems import Problem, RecordError, shown

Source: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]

TOLD: Final = {
    "joined": "prompts are the variables of a template together: {}",
    "rendered": "prompts are templates, filled with the variables {}",
    "free": "costs of 0 count as unknown; {} and tools like it write 0 for models whose price they do not know",
}
"""Fields of a row that are no columns: what the summary says of the rows that have one, with its value."""

MAX_PYTHON_CHARS: Final = 1_000_000
"""Longer texts are not parsed as Python, because the parser takes about a hundred times the memory of the text."""


class Conversion(NamedTuple):
    """The rows that one source record was converted to.

    Attributes
    ----------
    rows : list of dict
        Outcome columns; ``extra`` is a dict.
    skipped : mapping of str to int
        Numbers of parts of the record that are left out on purpose, by their kind: "spans of other operations".
    failed : sequence of (Problem, part)
        Parts that should be outcomes but are unusable.
    """

    rows: list[Row]
    skipped: Mapping[str, int] = MappingProxyType({})
    failed: Sequence[tuple[Problem, Source]] = ()


ADVICE: Final = "mend it, name another --format, or use --on-error skip to set such rows aside"


def as_number(value: object) -> float | None:
    """Return a number or a truth value as a float; None if it is neither.

    >>> as_number(True), as_number(0.5), as_number("0.5"), as_number(float("nan"))
    (1.0, 0.5, None, None)
    """
    if not isinstance(value, int | float) or is_missing(value):
        return None
    return float(value)


def is_missing(value: object) -> bool:
    """Whether a field has no value: null, an empty text or NaN.

    >>> is_missing(None), is_missing(""), is_missing(float("nan")), is_missing(0)
    (True, True, True, False)
    """
    return value is None or value == "" or (isinstance(value, float) and value != value)  # noqa: PLR0124 NaN


def present(record: Source, without: Collection[str] = ()) -> Row:
    """Return the fields with a value, except those in `without`.

    >>> present({"a": 1, "b": None, "c": 2}, without={"c"})
    {'a': 1}
    """
    # is_missing written out: this runs for every field of every record
    return {
        key: value
        for key, value in record.items()
        if key not in without and value is not None and value != "" and value == value  # noqa: PLR0124 NaN
    }


def first_present(record: Source, *keys: str) -> Any:
    """Return the value of the first of several fields that has one; None if none does."""
    return next((record[key] for key in keys if not is_missing(record.get(key))), None)


def as_object(value: object, column: str) -> Source:
    """Return a field that must be an object; a missing one is empty, and JSON text is decoded.

    Raises
    ------
    RecordError
        If it is something else.
    """
    if is_missing(value):
        return {}
    decoded = value
    if isinstance(value, str):
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            decoded = None
    if not isinstance(decoded, Mapping):
        raise RecordError(column, shown(value), "a JSON object", ADVICE)
    return decoded


def decode_list(text: str) -> Any:
    """Decode JSON, or a list as Python prints it, because pandas writes lists into CSV files like this.

    >>> decode_list("[{'role': 'user', 'content': None}]")
    [{'role': 'user', 'content': None}]

    Raises
    ------
    ValueError
        If the text is neither, or is too long to be parsed as Python.
    """
    try:
        return json.loads(text)
    except ValueError:
        if not text.lstrip().startswith("[") or len(text) > MAX_PYTHON_CHARS:
            raise
    try:
        # Only literals are parsed and no code is run. Too much nesting raises one of the errors below.
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            return ast.literal_eval(text.strip())
    except (SyntaxError, MemoryError, RecursionError, TypeError) as exc:
        raise ValueError("neither JSON nor a Python list") from exc


def objects_of(value: Any) -> list[Source]:
    """Return the objects in a list; an empty list if the value is not a list.

    >>> objects_of([{"a": 1}, "b"]), objects_of(None)
    ([{'a': 1}], [])
    """
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def prompt_fields(value: object) -> Row:
    """Put chat messages into `messages` and anything else into `prompt`.

    >>> prompt_fields("Hi"), prompt_fields([{"role": "user", "content": "Hi"}])
    ({'prompt': 'Hi'}, {'messages': [{'role': 'user', 'content': 'Hi'}]})
    """
    return {"messages": value} if isinstance(value, list) else {"prompt": value}


def chat_fields(value: object) -> Row:
    """Put a prompt into `messages` or `prompt`; text that is a JSON list of chat messages is a chat.

    >>> chat_fields('[{"role": "user", "content": "Hi"}]')
    {'messages': [{'role': 'user', 'content': 'Hi'}]}
    >>> chat_fields("[1] is a citation")
    {'prompt': '[1] is a citation'}
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            decoded = None
        if isinstance(decoded, list) and decoded and all(isinstance(one, Mapping) and "role" in one for one in decoded):
            return {"messages": decoded}
    return prompt_fields(value)


def latency_s(record: Source, start: str, end: str) -> float | None:
    """Return the seconds between the times in two fields; None if one is missing.

    >>> latency_s({"a": 1738312200, "b": "2025-01-31T08:30:01.5Z"}, "a", "b")
    1.5

    Raises
    ------
    RecordError
        If one of them is not a time.
    """
    first, last = time_s(record, start), time_s(record, end)
    return None if first is None or last is None else round(last - first, 6)


def time_s(record: Source, key: str) -> float | None:
    """Return a time as seconds since 1970; None if it is missing.

    The unit of a number since 1970 (seconds, milliseconds, microseconds or nanoseconds) follows from its size: in each
    unit it lies between 1973 and 5138, and these ranges do not overlap.

    >>> time_s({"a": "1740823200000000000"}, "a"), time_s({"a": "2025-03-01 10:00:00"}, "a")
    (1740823200.0, 1740823200.0)

    Raises
    ------
    RecordError
        If it is something else.
    """
    value = record.get(key)
    if is_missing(value):
        return None
    try:
        return _parsed_time_s(value)
    except ValueError as exc:
        raise RecordError(key, shown(value), "seconds since 1970 or a time in ISO 8601", ADVICE) from exc


def _parsed_time_s(value: object) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)  # noqa: TRY004 mapped by the caller like other unusable times
    try:
        number = float(value)
    except ValueError:
        return _parsed_time_s(datetime.fromisoformat(str(value).strip().removesuffix(" UTC")))
    for units_a_second in (1_000_000_000, 1_000_000, 1_000):
        if abs(number) >= 1e8 * units_a_second:
            return number / units_a_second
    return number
