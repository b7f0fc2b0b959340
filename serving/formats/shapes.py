"""Read JSON that may have wrong types: keep the readable parts of an answer, but refuse a bad request entirely."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from router_model.serving.common.service_errors import InvalidRequestError

Json: TypeAlias = dict[str, Any]


def mapping(value: object) -> Json:
    """Return an object; an empty one in place of anything else.

    >>> mapping({"a": 1}), mapping(None), mapping("text")
    ({'a': 1}, {}, {})
    """
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[Json]:
    """Return the objects of a list.

    >>> mappings([{"a": 1}, None, "text"]), mappings(None)
    ([{'a': 1}], [])
    """
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a text; the empty one in place of anything else.

    >>> text("a"), text(None), text(["a"])
    ('a', '', '')
    """
    return value if isinstance(value, str) else ""


def n_bytes(value: str) -> int:
    """Return how many bytes a text has in UTF-8.

    >>> n_bytes("hello"), n_bytes("\u00e4")
    (5, 2)
    """
    return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))


def number_of(value: object, otherwise: float) -> float:
    """Return a number; `otherwise` in place of anything else.

    >>> number_of(-0.5, 0.0), number_of(None, -9999.0)
    (-0.5, -9999.0)
    """
    return value if isinstance(value, int | float) else otherwise


def index_of(value: Mapping[str, Any]) -> int:
    """Return the ``index`` that an object has; 0 if it does not say, as Google does not of the first.

    >>> index_of({"index": 1}), index_of({}), index_of({"index": "2"})
    (1, 0, 2)
    """
    return index_or_none(value) or 0


def index_or_none(value: Mapping[str, Any]) -> int | None:
    """Return the ``index`` that an object has, also one in a text; None if it has none.

    >>> [index_or_none({"index": index}) for index in (1, "2", 3.0, None, True, "a", -1)]
    [1, 2, 3, None, None, None, None]
    """
    index = value.get("index")
    # Not isinstance, for which True is the index 1.
    if type(index) is int:
        return index if index >= 0 else None
    if isinstance(index, str) and index.strip().isdecimal():
        return int(index)
    return int(index) if isinstance(index, float) and index >= 0 and index.is_integer() else None


def asked_objects(value: object, where: str, param: str) -> list[Mapping[str, Any]]:
    """Return a list of objects of a request; null is none.

    Raises
    ------
    InvalidRequestError
        If it is something else, since what a caller said must not be lost.

    Examples
    --------
    >>> asked_objects([{"name": "f"}], "tools", "tools"), asked_objects(None, "tools", "tools")
    ([{'name': 'f'}], [])
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequestError(f"'{where}' must be a list of objects, not {type(value).__name__}", param=param)
    for at, one in enumerate(value):
        if not isinstance(one, Mapping):
            got = "null" if one is None else type(one).__name__
            raise InvalidRequestError(f"'{where}' must be a list of objects; [{at}] is {got}", param=param)
    return value
