"""Reading what a provider sent without trusting its types: what is of the wrong one is not there."""

from typing import Any

from serving.formats.format import Json


def fields_of(value: object) -> Json:
    """Return an object; an empty one of anything else.

    >>> fields_of({"a": 1}), fields_of(None)
    ({'a': 1}, {})
    """
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[Json]:
    """Return the objects of a list; none of anything else.

    >>> objects_of([{"a": 1}, None, 3]), objects_of("abc")
    ([{'a': 1}], [])
    """
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Return text; an empty one of anything else.

    >>> text_of("a"), text_of(None), text_of(["a"])
    ('a', '', '')
    """
    return value if isinstance(value, str) else ""


def number_of(value: Any, otherwise: float) -> float:
    """Return a number; `otherwise` of anything else.

    >>> number_of(-0.5, 0.0), number_of(None, -9999.0)
    (-0.5, -9999.0)
    """
    return value if isinstance(value, int | float) else otherwise


def index_of(value: Json) -> int:
    """Return an ``index``, which Google leaves out where it is zero.

    >>> index_of({"index": 1}), index_of({})
    (1, 0)
    """
    index = value.get("index")
    return index if isinstance(index, int) else 0
