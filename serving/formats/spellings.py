"""Google's JSON takes every field in two spellings, ``systemInstruction`` and ``system_instruction``."""

import re
from functools import cache


@cache
def snake(name: str) -> str:
    """Return the other spelling of a field of Google's.

    >>> snake("parametersJsonSchema")
    'parameters_json_schema'
    """
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
