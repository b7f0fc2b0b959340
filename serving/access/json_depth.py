"""How deeply a JSON body is nested, found out before it is parsed.

A parser that recurses, or code that walks what it parsed, must not meet ``[[[[…``. Works on the raw bytes in linear
time, whatever they are: whether they are JSON at all is the parser's business.
"""

from typing import Final

import numpy as np

from serving.errors import InvalidRequestError

_QUOTE: Final = ord('"')
_IRRELEVANT: Final = bytes(set(range(256)) - set(b'"[]{}'))
_STEP: Final = np.zeros(256, np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1


def check_depth(body: bytes, limit: int) -> None:
    """Refuse a body whose objects and arrays are nested deeper than `limit`.

    Raises
    ------
    InvalidRequestError
        If it is deeper.

    Examples
    --------
    >>> check_depth(b'{"messages": [{"content": "[[["}]}', limit=3)
    >>> check_depth(b'{"messages": [{"content": "[[["}]}', limit=2)
    Traceback (most recent call last):
    serving.errors.InvalidRequestError: the body is nested 3 levels deep; expected at most 2
    """
    # A body that opens no more than `limit` times cannot be deeper: nearly every request ends here.
    if body.count(b"{") + body.count(b"[") <= limit:
        return
    depth = json_depth(body)
    if depth > limit:
        raise InvalidRequestError(f"the body is nested {depth} levels deep; expected at most {limit}")


def json_depth(body: bytes) -> int:
    """Return how deeply objects and arrays are nested; brackets within strings are text.

    Examples
    --------
    >>> json_depth(b'{"a": [1, "}]["]}')
    2
    """
    # Without escaped backslashes and quotes, in this order, every quote left begins or ends a string.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _IRRELEVANT)
    symbols = np.frombuffer(plain, np.uint8)
    in_string = np.cumsum(symbols == _QUOTE, dtype=np.uint8) & 1  # wraps at 256, which is even
    levels = np.cumsum(np.where(in_string, 0, _STEP[symbols]), dtype=np.int32)
    return max(int(levels.max(initial=0)), 0)
