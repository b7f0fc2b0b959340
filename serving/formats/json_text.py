"""Read providers' JSON leniently, and write JSON fast.

Providers send some things that are not JSON, and they are read all the same: halves of surrogate pairs (an emoji cut
between two tokens) become ``?``, bytes that are not UTF-8 become a replacement character; ``NaN`` and ``Infinity`` (log
probabilities of vLLM) become null, as do numbers that no float can hold (``1e999``).
"""

import json
import math
import re
import secrets
from typing import Any, Final

from router_model.serving.common.extra import needing_serve
from router_model.serving.formats.format import Call
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

with needing_serve("the proxy"):
    import orjson

_INT_CHARS: Final = 18
"""Integers of at most this many characters fit 64 bits; longer ones are read as floats."""
_LONG_CHARS: Final = 1_000_000


def load_object(content: bytes, what: str) -> Json:
    r"""Parse a JSON object.

    Parameters
    ----------
    content : bytes
    what : str
        What it should be, for the message: ``answer``, ``event of the stream``.

    Raises
    ------
    UpstreamFailure
        With `FailureKind.MALFORMED`; the content is not in the message.

    Examples
    --------
    >>> load_object(b'{"text": "\\ud83d", "logprob": -Infinity}', "answer")
    {'text': '?', 'logprob': None}
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = _mended(content, what)
    if not isinstance(value, dict):
        raise UpstreamFailure(
            FailureKind.MALFORMED, f"the provider's {what} is JSON of type {type(value).__name__}; expected an object"
        )
    return value


def dump_body(body: Any, call: Call) -> bytes:
    """Return the body of a call's request."""
    return dump_long(body) if call.is_long else dump(body)


def dump_long(value: Any) -> bytes:
    """Return the same as `dump`; if it has long strings, other threads get their turn in between.

    >>> value = {"data": "x" * 3_000_000, "e": ["e" * 2_000_000, 1]}
    >>> dump_long(value) == dump(value)
    True
    """
    texts: list[str] = []
    # Random, so that no text of a caller can be taken for a mark.
    mark = secrets.token_hex(8)
    written = dump(_without_long(value, texts, mark))
    if not texts:
        return written
    parts = re.split(rb'"%b-(\d+)"' % mark.encode(), written)
    for place in range(1, len(parts), 2):
        text = texts[int(parts[place])]
        pieces = (dump(text[start : start + _LONG_CHARS])[1:-1] for start in range(0, len(text), _LONG_CHARS))
        parts[place] = b'"%b"' % b"".join(pieces)
    return b"".join(parts)


def _without_long(value: Any, texts: list[str], mark: str) -> Any:
    """Return a value with a mark in the place of each long string; they are added to `texts`."""
    if isinstance(value, str) and len(value) > _LONG_CHARS:
        texts.append(value)
        return f"{mark}-{len(texts) - 1}"
    if isinstance(value, dict):
        return {name: _without_long(one, texts, mark) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_long(one, texts, mark) for one in value]
    return value


def dump(value: Any) -> bytes:
    """Return JSON on one line; also for values that orjson refuses (halves of surrogate pairs, very large numbers)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _mended(content: bytes, what: str) -> Any:
    """Parse a text that is nearly JSON, and keep only values that JSON can express."""
    try:
        value = json.loads(
            content.decode("utf-8", "replace"),
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=lambda digits: int(digits) if len(digits) <= _INT_CHARS else _finite(digits),
        )
        # Without ensure_ascii, `encode` makes half a surrogate pair a '?'; as an escape, orjson would refuse it.
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    # Python's parser recurses, so a deeply nested answer ends in a RecursionError.
    except (ValueError, RecursionError) as exc:
        raise UpstreamFailure(
            FailureKind.MALFORMED, f"the provider's {what} is not valid JSON ({len(content)} bytes); expected an object"
        ) from exc


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
