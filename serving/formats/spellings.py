"""Accept both spellings of Google's JSON fields: ``systemInstruction`` and ``system_instruction``."""

import re
from functools import lru_cache

_LONGEST = 64  # of a field's name that is remembered: names of bodies are the callers'


def snake(name: str) -> str:
    """Return the other spelling of a field of Google's.

    >>> snake("parametersJsonSchema")
    'parameters_json_schema'
    """
    return _remembered(name) if len(name) <= _LONGEST else _snake(name)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


_remembered = lru_cache(maxsize=4096)(_snake)
