"""Shorten callers' and providers' texts to a length that every store accepts.

PostgreSQL's index refuses entries of more than about 2,700 bytes, and memory has to be bounded, too. So a text that is
longer than `MOST_BYTES` is kept as its hash: equal texts stay equal, and can still be grouped and looked for.
"""

import hashlib
from typing import Final, TypeVar

MOST_BYTES: Final = 1024
"""In UTF-8; longer texts are kept as ``sha256:`` and the hash of these bytes. Prompts and comments are kept whole."""
_MOST_BYTES_A_CHAR: Final = 4

T = TypeVar("T", str, str | None)


def bounded(text: T) -> T:
    """Return a text as the log keeps it: itself, or its hash if it is long.

    >>> bounded("u-17"), bounded(None), bounded("x" * 5000)[:23]
    ('u-17', None, 'sha256:c59d3c0480cc2d71')
    """
    # Most texts are short enough by their characters alone, and need not be encoded to be measured.
    if text is None or len(text) * _MOST_BYTES_A_CHAR <= MOST_BYTES:
        return text
    content = text.encode("utf-8", "replace")
    return text if len(content) <= MOST_BYTES else f"sha256:{hashlib.sha256(content).hexdigest()}"
