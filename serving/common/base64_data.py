"""Find images, audio and files in base64 in a body, and copy a body without them.

A picture has megabytes of base64. Two questions are asked of it. What a call may cost is answered by `is_data`, which
reads all of a text: a caller must not have words counted as a picture. What is kept of a conversation is answered by
`without_data`, which looks at the beginning alone: nothing there reads the picture, and writing it as JSON would hold
the event loop up.
"""

import hashlib
import re
from typing import Any, Final

_URLS: Final = frozenset({"url", "image_url", "file_data"})
"""Fields of a body that can have a file as a ``data:`` URL; in ``data`` it stands as such."""
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=_-]")
_LEAST_DATA_BYTES: Final = 256
_PIECE_CHARS: Final = 1_000_000
"""Other threads get their turn after so much of a long text."""
MOST_CHARS: Final = 65_536
"""Of base64 that stays as it is."""

_DATA: Final = re.compile(r"(?:data:[^,]{0,256},)?[A-Za-z0-9+/=_-]*")
_LOOKED_AT: Final = 4096
_HASHED: Final = 65_536


def is_data(field: str, text: str) -> bool:
    """Tell whether the text of a field is an image or a file in base64.

    >>> is_data("url", "data:image/png;base64," + "A" * 300), is_data("text", "A" * 300)
    (True, False)
    """
    if len(text) < _LEAST_DATA_BYTES or not (field == "data" or field in _URLS):
        return False
    begin = 0
    if field in _URLS:
        begin = text.find(",", 0, _LEAST_DATA_BYTES) + 1
        if not text.startswith("data:") or not text[:begin].endswith(";base64,"):
            return False
    pieces = (text[start : start + _PIECE_CHARS] for start in range(begin, len(text), _PIECE_CHARS))
    return all(_NOT_BASE64.search(piece) is None for piece in pieces)


def without_data(value: Any) -> Any:
    """Return a value with a note in the place of each long string that is base64, or a ``data:`` URL of it.

    The note has the length, and a hash of the beginning and the end. Decides by the beginning: who sends half a picture
    and half a novel in one string has it kept as a picture.

    >>> without_data([{"type": "image", "data": "A" * 100_000}, {"text": "A b " * 100_000}])[0]["data"]
    '(100000 characters of data, 02c9a68f567b8ec2)'
    """
    if isinstance(value, str):
        return _note(value) if len(value) > MOST_CHARS and _DATA.fullmatch(value[:_LOOKED_AT]) else value
    if isinstance(value, dict):
        return {name: without_data(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_data(one) for one in value]
    return value


def _note(text: str) -> str:
    # JSON can contain half of a surrogate pair, which UTF-8 cannot encode otherwise.
    known = (text[:_HASHED] + text[-_HASHED:]).encode("utf-8", "surrogatepass")
    return f"({len(text)} characters of data, {hashlib.sha256(known).hexdigest()[:16]})"
