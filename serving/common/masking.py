"""Mask passwords in URLs, and keys in providers' messages."""

import re
from typing import Final

MASK: Final = "***"

_PASSWORD: Final = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)
"""Up to the last ``@``: people forget to percent-encode an ``@`` or ``/`` of their password."""
_QUERY_VALUE: Final = re.compile(r"(?<=[?&])([^=&#]*)=[^&#]*")
# A digit or a star is required, so that a long word such as "key-based-authentication" stays readable.
_KEY_BY_PREFIX: Final = re.compile(
    r"(?<![A-Za-z0-9])(sk|pk|rk|rm|xai|gsk|fw|hf|nvapi|pplx|csk|tgp|r8|key|AIza|ya29|eyJ)(?=[\w*.-]*[\d*])[\w*.-]{12,}"
)
_KEY_BY_NAME: Final = re.compile(
    r"(?i)(\bbearer\s+|\b(?:api|access)[ _-]?(?:key|token)\b[ \w]{0,20}[\"'`]?[:=]\s*[\"'`]?)[\w*.+/=-]{8,}"
)


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


def masked_keys(text: str) -> str:
    """Return `text` with what looks like a key masked: by the prefixes of known providers, or by what stands before it.

    Examples
    --------
    >>> masked_keys("Incorrect API key provided: sk-proj-Ab12************wXyZ. Find yours at example.com.")
    'Incorrect API key provided: *** Find yours at example.com.'
    >>> masked_keys("no such key: xai-0123456789abcdef; model gpt-4o-mini-2024-07-18 stays")
    'no such key: xai***; model gpt-4o-mini-2024-07-18 stays'
    """
    return _KEY_BY_PREFIX.sub(rf"\1{MASK}", _KEY_BY_NAME.sub(rf"\1{MASK}", text))
