"""Count how deeply a JSON body nests and how many parts it has, before it is parsed.

A parser makes an object of every part, in one call that nothing can interrupt; a parser that recurses, or code that
walks what was parsed, must not meet ``[[[[…``. Works on the raw bytes in linear time, whatever they are: whether they
are JSON at all is the parser's business. It goes some kilobytes at a time, so that other threads get their turn.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from router_model.serving.common.service_errors import InvalidRequestError, TooLargeError

Raw: TypeAlias = bytes | bytearray

DEAR: Final = 4
"""The count of an object, an array or a field; any other value counts 1. Parsers take that much longer for them."""

_STEP_BYTES: Final = 16_384
_SHORT_BYTES: Final = 262_144
_QUOTE: Final = ord('"')
_IRRELEVANT: Final = bytes(set(range(256)) - set(b'"[]{},:'))
_LEVEL: Final = np.zeros(256, np.int8)
_LEVEL[list(b"[{")] = 1
_LEVEL[list(b"]}")] = -1
_WEIGHT: Final = np.zeros(256, np.int64)
_WEIGHT[list(b"[{:")] = DEAR
_WEIGHT[list(b",")] = 1


@dataclass(slots=True)
class Shape:
    """The shape of a body.

    Attributes
    ----------
    depth : int
        Objects and arrays within each other.
    n_parts : int
        Values; objects, arrays and fields count `DEAR`.
    long_texts : list of (int, int)
        Where strings of at least 16 KiB, and some shorter ones, begin and end, without their quotes.
    """

    depth: int = 0
    n_parts: int = 0
    long_texts: list[tuple[int, int]] = field(default_factory=list)


def check_shape(body: Raw, *, max_depth: int, max_parts: int) -> Shape:
    """Refuse a body that is nested deeper or has more parts than it may.

    Returns
    -------
    Shape
        For a short body that cannot break the limits, only an upper bound of its parts.

    Raises
    ------
    InvalidRequestError
        If it is deeper.
    TooLargeError
        If it has more parts.

    Examples
    --------
    >>> _ = check_shape(b'{"messages": [{"content": "[[["}]}', max_depth=3, max_parts=100)
    >>> check_shape(b'{"messages": [{"content": "[[["}]}', max_depth=2, max_parts=100)
    Traceback (most recent call last):
    router_model.serving.common.service_errors.InvalidRequestError: the body is nested 3 levels deep; expected at most 2
    """
    most = _most_parts(body) if len(body) <= _SHORT_BYTES else max_parts + 1
    # A body that opens no more than `max_depth` times cannot be deeper: nearly every request ends here.
    if most <= max_parts and body.count(b"{") + body.count(b"[") <= max_depth:
        return Shape(n_parts=most)
    shape = json_shape(body, enough_parts=max_parts)
    if shape.depth > max_depth:
        raise InvalidRequestError(f"the body is nested {shape.depth} levels deep; expected at most {max_depth}")
    if shape.n_parts > max_parts:
        raise TooLargeError(
            f"the body has at least {shape.n_parts} parts, where each object, array and field counts {DEAR}; expected "
            f"at most {max_parts}; send less, or ask the operator to raise the limit (max_json_parts)"
        )
    return shape


def json_shape(body: Raw, *, enough_parts: int | None = None) -> Shape:
    """Return the shape of a body; brackets and commas within strings are text.

    Parameters
    ----------
    enough_parts : int, optional
        If there are more parts, the rest of the body is not looked at.

    Examples
    --------
    >>> json_shape(b'{"a": [1, "}]["]}')
    Shape(depth=2, n_parts=14, long_texts=[])
    """
    shape, level, opened, start = Shape(), 0, -1, 0
    while start < len(body):
        end = _end_of_step(body, start)
        # Escaped backslashes and quotes go first, in this order: every quote left begins or ends a string.
        plain = body[start:end].replace(b"\\\\", b"__").replace(b'\\"', b"__")
        symbols = np.frombuffer(plain.translate(None, _IRRELEVANT), np.uint8)
        quotes = symbols == _QUOTE
        n_quotes = int(np.count_nonzero(quotes))
        if n_quotes and opened >= 0:
            shape.long_texts.append((opened + 1, start + plain.find(b'"')))
        in_string = (np.cumsum(quotes, dtype=np.uint8) + (opened >= 0)) & 1  # wraps at 256, which is even
        levels = level + np.cumsum(np.where(in_string, 0, _LEVEL[symbols]), dtype=np.int64)
        if len(levels):
            shape.depth, level = max(shape.depth, int(levels.max())), int(levels[-1])
            shape.n_parts += int(_WEIGHT[symbols[in_string == 0]].sum())
        if n_quotes:
            opened = start + plain.rfind(b'"') if (n_quotes + (opened >= 0)) % 2 else -1
        start = end
        if enough_parts is not None and shape.n_parts > enough_parts:
            break
    # A body of one number or text is a part, too, and has no symbol that was counted above.
    shape.n_parts += bool(body)
    return shape


def _end_of_step(body: Raw, start: int) -> int:
    """Return the end of a step; it never lies within an escape."""
    end = min(start + _STEP_BYTES, len(body))
    step = body[start:end]
    return min(end + (len(step) - len(step.rstrip(b"\\"))) % 2, len(body))


def _most_parts(body: Raw) -> int:
    """Return an upper bound of a body's parts, counted as if it had no strings."""
    return 1 + body.count(b",") + DEAR * (body.count(b"{") + body.count(b"[") + body.count(b":"))
