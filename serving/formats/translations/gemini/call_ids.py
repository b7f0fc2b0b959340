"""Ids of tool calls, which Gemini often leaves out and OpenAI's format needs."""

from hashlib import blake2b

import orjson


def made_up_id(*what: object) -> str:
    """Return an id that is the same for the same call.

    Examples
    --------
    >>> made_up_id("response", 0, 0, "weather", {}) == made_up_id("response", 0, 0, "weather", {})
    True
    >>> made_up_id("response", 0, 0, "weather", {}) == made_up_id("response", 0, 1, "weather", {})
    False
    """
    said = orjson.dumps(what, default=str, option=orjson.OPT_SORT_KEYS)
    return "call_" + blake2b(said, digest_size=12).hexdigest()
