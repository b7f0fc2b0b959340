"""A conversation without the data of its images, audio and files: what is kept and compared of it.

A picture has megabytes of base64. Nothing here reads them, and writing them as JSON would hold the event loop up.
"""

import hashlib
import re
from typing import Any, Final

MOST_CHARS: Final = 65_536
"""Of base64 that stays as it is."""

_DATA: Final = re.compile(r"(?:data:[^,]{0,256},)?[A-Za-z0-9+/=_-]*")
_LOOKED_AT: Final = 4096
_HASHED: Final = 65_536


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
    known = (text[:_HASHED] + text[-_HASHED:]).encode("utf-8", "surrogatepass")
    return f"({len(text)} characters of data, {hashlib.sha256(known).hexdigest()[:16]})"
