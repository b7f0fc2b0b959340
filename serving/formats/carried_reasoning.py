"""Carry the reasoning of models that do not speak Responses in ``encrypted_content``, where clients keep and return it.

Anthropic signs what a model thought, others want it back in a tool loop. A client of Responses returns reasoning as it
came. So what a chat answer has is written into that field, as text with a mark. No secret is in it: the caller's own
answer is.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

from router_model.serving.formats.shapes import Json, mapping, mappings, text

_MARK: Final = "router.1."
ENCRYPTED: Final = "reasoning.encrypted_content"
"""Of ``include``: reasoning is wanted in a form that can be sent back."""
OPENAI: Final = "openai-responses-v1"
"""How OpenRouter names the format of reasoning that a model of OpenAI encrypted."""
OUR_IDS: Final = "_router_"
"""Is in the ids of items that were made here; no provider knows them."""


def carried(reasoning: Mapping[str, Any]) -> str:
    """Return the fields of a chat message that hold its reasoning as one text."""
    return _MARK + base64.urlsafe_b64encode(json.dumps(reasoning).encode()).decode()


def reasoning_carried(content: object) -> Json | None:
    """Return the fields again; None if a text is another's.

    >>> reasoning_carried(carried({"reasoning_content": "Hm."})), reasoning_carried("gAAAAB")
    ({'reasoning_content': 'Hm.', 'reasoning_details': []}, None)
    """
    if not is_carried(content):
        return None
    try:
        kept = mapping(orjson.loads(base64.urlsafe_b64decode(text(content).removeprefix(_MARK))))
    except (binascii.Error, ValueError):
        return {}  # a caller has changed it, so that it says nothing any more
    # Flat, as it was written: nobody has checked how deep it is.
    details = [
        {name: value for name, value in one.items() if value is None or isinstance(value, str | int | float)}
        for one in mappings(kept.get("reasoning_details"))
    ]
    return {"reasoning_content": text(kept.get("reasoning_content")), "reasoning_details": details}


def is_carried(content: object) -> bool:
    """Tell whether an ``encrypted_content`` was written here."""
    return text(content).startswith(_MARK)
