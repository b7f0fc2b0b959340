"""Describe where an error was raised, without its message, because that may quote a prompt."""

import traceback
from pathlib import Path


def error_location(exc: BaseException) -> str:
    """Describe where an exception was raised, without its message, because that may contain a prompt.

    >>> try:
    ...     int("a secret")
    ... except ValueError as error:
    ...     error_location(error).startswith("ValueError at ")
    True
    """
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(exc).__name__}{where}"
