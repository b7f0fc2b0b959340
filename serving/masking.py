"""What may be shown of a URL: never a password."""

import re
from typing import Final

MASK: Final = "***"

_PASSWORD: Final = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)
"""Up to the last ``@``: people forget to percent-encode an ``@`` or ``/`` of their password."""
_QUERY_VALUE: Final = re.compile(r"(?<=[?&])([^=&#]*)=[^&#]*")


def masked_url(url: str) -> str:
    """Return `url` with its password and all values of its query masked.

    Rather too much is masked than too little: drivers take passwords as ``?password=`` and by other names, too.

    Examples
    --------
    >>> masked_url("postgresql+asyncpg://router:s3cret@db:5432/log?sslpassword=abc")
    'postgresql+asyncpg://router:***@db:5432/log?sslpassword=***'
    >>> masked_url("sqlite+aiosqlite:///router-log.db")
    'sqlite+aiosqlite:///router-log.db'
    """
    return _QUERY_VALUE.sub(rf"\1={MASK}", _PASSWORD.sub(rf"\1:{MASK}@", url))
