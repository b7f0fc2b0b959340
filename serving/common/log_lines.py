"""How the service's log lines look: text for people, or one JSON object a line for what collects logs.

A line that belongs to a request carries the request's id, which the caller has in ``x-request-id``.
"""

import json
import logging
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Final

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
"""Id of the request that is being answered; empty outside of one."""
FIELDS: Final = "fields"
"""Attribute of a log record (``extra``) with what a line says besides its message: name -> value."""


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class TextLines(logging.Formatter):
    """Formats a record as a line of text, with its fields as ``name=value`` behind the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it if there is one."""
        line, _, below = super().format(record).partition("\n")
        said = [f"{name}={value}" for name, value in _fields(record).items() if value is not None]
        return "\n".join(filter(None, (" ".join((line, *said)), below)))


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: ``time``, ``level``, ``logger``, ``message`` and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is its ``exception``."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        said: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(said, default=str)


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    request = REQUEST.get()
    return ({"request_id": request} if request else {}) | getattr(record, FIELDS, {})


def logging_config(lines: LogFormat) -> dict[str, Any]:
    """Return how the service's processes log, as `logging.config.dictConfig` takes it: to standard error."""
    text = {"()": TextLines, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    return {
        "version": 1,
        # Modules made their loggers when they were imported; the default would silence them.
        "disable_existing_loggers": False,
        "formatters": {"line": text if lines is LogFormat.TEXT else {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"router_model": {"level": "INFO"}, "uvicorn": {"level": "WARNING"}},
    }
