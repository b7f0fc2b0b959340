"""Parse a long body in pieces, so that other threads get their turn.

A parser reads a body in one call, in which no other thread gets its turn: 32 MiB of text take 60 to 140 ms. Most of a
body that long is text, such as an image in base64. So long strings are taken out first and read a piece at a time; what
is left is short, and parsed as usual.
"""

import secrets
import string
from collections.abc import Mapping
from typing import Any, Final

import orjson

from router_model.serving.common.service_errors import InvalidRequestError, TooLargeError
from router_model.serving.http_edge.json_shape import Raw, Shape

AT_ONCE_BYTES: Final = 1_048_576
"""A body up to this length is parsed as a whole; long strings are read in pieces of this length."""
MOST_TEXT_BYTES: Final = 8_388_608
"""Bytes that a body may have besides data in base64: more than any model reads."""

_LONG_BYTES: Final = 4096
_HIGH_SURROGATES: Final = (b"ud8", b"ud9", b"uda", b"udb")
_BASE64: Final = (string.ascii_letters + string.digits + "+/=_-").encode()
_MOST_PREFIX_BYTES: Final = 256
_ESCAPE_BYTES: Final = 6  # of \uXXXX


def load_json(body: Raw, shape: Shape) -> Any:
    """Parse a body.

    Parameters
    ----------
    body : bytes
    shape : of the body, from `router_model.serving.http_edge.json_shape.check_shape`

    Raises
    ------
    InvalidRequestError
        If it is not JSON.
    TooLargeError
        If too much of it is not data in base64.
    """
    if len(body) <= AT_ONCE_BYTES:
        return _load(body)
    # Random, so that no text of the body can be taken for a stand-in.
    token = secrets.token_hex(8)
    rest: list[Raw] = []
    places: dict[str, tuple[int, int]] = {}
    end = n_data = 0
    for position, (first, last) in enumerate(shape.long_texts):
        if last - first < _LONG_BYTES:
            continue  # a short one, maybe the name of a field, that a step of `json_shape` ended in
        places[f"{token}-{position}"] = (first, last)
        rest += [body[end:first], f"{token}-{position}".encode()]
        end = last
        n_data += (last - first) * _is_data(body, first, last)
    if len(body) - n_data > MOST_TEXT_BYTES:
        raise TooLargeError(
            f"the body has {len(body) - n_data} bytes besides data in base64; expected at most {MOST_TEXT_BYTES}; send "
            "less text"
        )
    value = _load(b"".join([*rest, body[end:]]))
    _put_back(value, {name: _load_text(body, *place) for name, place in places.items()})
    return value


def _load(body: Raw) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"the body is not valid JSON: {exc.msg} at byte {exc.pos}") from None


def _is_data(body: Raw, start: int, end: int) -> bool:
    """Tell whether a string is base64, or a ``data:`` URL of it."""
    if body.startswith(b"data:", start):
        start = body.find(b",", start, start + _MOST_PREFIX_BYTES) + 1 or start
    return not any(
        body[place : min(place + AT_ONCE_BYTES, end)].translate(None, _BASE64)
        for place in range(start, end, AT_ONCE_BYTES)
    )


def _load_text(body: Raw, start: int, end: int) -> str:
    """Read the string whose content is at `start` to `end`, a piece at a time."""
    pieces = []
    while start < end:
        cut = end if end - start <= AT_ONCE_BYTES else _last_cut(body, start, start + AT_ONCE_BYTES)
        pieces.append(_load(b"".join((b'"', body[start:cut], b'"'))))
        start = cut
    return "".join(pieces)


def _last_cut(body: Raw, start: int, cut: int) -> int:
    """Return the last place up to `cut` that is within no character, escape or pair of surrogates; `start` is one."""
    while body[cut] & 0xC0 == 0x80:  # noqa: PLR2004  (a byte that goes on with a character of UTF-8)
        cut -= 1
    for first in range(cut - _ESCAPE_BYTES + 1, cut):
        if _begins_escape(body, start, first) and (first == cut - 1 or body[first + 1] == ord("u")):
            cut = first
            break
    first = cut - _ESCAPE_BYTES
    if body[first + 1 : first + 4].lower() in _HIGH_SURROGATES and _begins_escape(body, start, first):
        cut = first
    return cut


def _begins_escape(body: Raw, start: int, place: int) -> bool:
    """Tell whether a backslash is at a place, and is not escaped itself."""
    head = body[start:place]
    return body[place] == ord("\\") and (len(head) - len(head.rstrip(b"\\"))) % 2 == 0


def _put_back(value: Any, texts: Mapping[str, str]) -> None:
    """Put strings where their names stand in what was parsed.

    Raises
    ------
    InvalidRequestError
        If one is not there: a long string is the name of a field, or of a field that stands twice.
    """
    n_left, stack = len(texts), [value]
    while stack:
        holder = stack.pop()
        for key, one in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(one, str):
                text = texts.get(one)
                if text is not None:
                    holder[key] = text
                    n_left -= 1
            elif isinstance(one, dict | list):
                stack.append(one)
    if n_left:
        raise InvalidRequestError(
            "the body has a field name of 4 KiB or more, or the same long field twice; expected neither"
        )
