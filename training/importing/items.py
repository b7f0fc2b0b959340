"""The items that a reader yields: a record, or a row that could not be read."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from router_model.training.importing.problems import Problem, shown

NO_CONTEXT: Final[Mapping[str, Any]] = MappingProxyType({})


class Record(NamedTuple):
    """One record of a source, with its place.

    Attributes
    ----------
    row : int
        Line or record of the file, from 1.
    value : dict
    n_bytes : int
        About how many bytes of the file the record takes.
    context : mapping
        Fields of the JSON object around the record.
    """

    row: int
    value: dict[str, Any]
    n_bytes: int
    context: Mapping[str, Any] = NO_CONTEXT


class Unreadable(NamedTuple):
    """A row that cannot be read as a record, or the place where reading stopped.

    Attributes
    ----------
    row : int
    problem : Problem
    raw : str or None
        The row's text.
    n_bytes : int
    """

    row: int
    problem: Problem
    raw: str | None = None
    n_bytes: int = 0


Item: TypeAlias = Record | Unreadable


def record_of(row: int, value: Any, length: int, context: Mapping[str, Any] = NO_CONTEXT) -> Item:
    """Return a decoded JSON value as a record, or as unreadable if it is not an object.

    A list is a record if the object around it names the columns, as W&B's tables and pandas (``orient="split"``) do.
    """
    if isinstance(value, dict):
        return Record(row, value, length, context)
    columns = context.get("columns")
    if isinstance(value, list) and isinstance(columns, list) and len(columns) == len(value):
        return Record(row, dict(zip(map(str, columns), value, strict=True)), length)
    problem = Problem(0, "", shown(value), "a JSON object with named fields", "write one object for each record")
    return Unreadable(row, problem, json.dumps(value), length)


def records_of_columns(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a table that was written column by column, as pandas does; empty if it is something else.

    >>> records_of_columns({"model": {"0": "a", "1": "b"}, "quality": {"0": 1, "1": 0}})
    [{'model': 'a', 'quality': 1}, {'model': 'b', 'quality': 0}]
    >>> records_of_columns({"model": ["a", "b"], "quality": [1, 0]})
    [{'model': 'a', 'quality': 1}, {'model': 'b', 'quality': 0}]
    >>> records_of_columns({"0": {"model": "a", "quality": 1}, "1": {"model": "b", "quality": 0}})
    [{'model': 'a', 'quality': 1}, {'model': 'b', 'quality': 0}]
    """
    columns = list(table.values())
    if len(columns) > 1 and all(isinstance(one, dict) and one for one in columns):
        if all(name.isdecimal() for name in table):
            return columns
        rows = columns[0].keys()
        if all(row.isdecimal() for row in rows) and all(one.keys() == rows for one in columns):
            return [{name: table[name][row] for name in table} for row in rows]
    if len(columns) > 1 and all(isinstance(one, list) and one for one in columns):
        is_plain = all(isinstance(value, str | int | float | None) for one in columns for value in one)
        if is_plain and len(set(map(len, columns))) == 1:
            return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]
    return []


def encoding_problem(column: str, exc: UnicodeDecodeError) -> Problem:
    r"""Say which byte is not UTF-8; a Western encoding is the usual reason.

    >>> try:
    ...     b"caf\xe9".decode()
    ... except UnicodeDecodeError as exc:
    ...     encoding_problem("prompt", exc).got
    'the byte 0xe9, which is not UTF-8 here'
    """
    got = f"the byte 0x{exc.object[exc.start]:02x}, which is not UTF-8 here"
    return Problem(0, column, got, "text in UTF-8", "convert the file, as with iconv -f WINDOWS-1252 -t UTF-8")
