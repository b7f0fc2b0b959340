"""Keep queries and keys out of the server's logs.

Uvicorn's access log writes the path with its query. Google's clients put keys there, and others do by mistake.
"""

import logging
from typing import Final

from router_model.serving.access.keys import KEY_PATTERN
from router_model.serving.common.masking import MASK

LOGGERS: Final = ("uvicorn.access", "uvicorn.error", "uvicorn.asgi")


class RedactingFilter(logging.Filter):
    """Cuts queries off paths and masks the secret part of keys, in the arguments of a log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's arguments in place; let it through."""
        if isinstance(record.args, tuple):
            record.args = tuple(redacted(value) if isinstance(value, str) else value for value in record.args)
        return True


def redacted(text: str) -> str:
    """Return a path or message without its query and without keys.

    Examples
    --------
    >>> redacted("/v1/models?key=rm_k7f3q9xw2m4t_" + "A" * 43)
    '/v1/models?***'
    """
    masked = KEY_PATTERN.sub(rf"rm_\1_{MASK}", text)
    path, mark, _ = masked.partition("?")
    return f"{path}?{MASK}" if mark and path.startswith("/") else masked


def redact_server_logs() -> None:
    """Put the filter on the server's loggers, once; called when the application is made."""
    for name in LOGGERS:
        log = logging.getLogger(name)
        if not any(isinstance(present, RedactingFilter) for present in log.filters):
            log.addFilter(RedactingFilter())
