"""The object ``response`` as callers get it: what they asked for, with the answer in it."""

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import ENCRYPTED, is_carried
from router_model.serving.formats.format import Call
from router_model.serving.formats.responses.tool_names import ToolName, with_own_name
from router_model.serving.formats.shapes import Json, mappings
from router_model.serving.providers.provider import Target

_DEFAULTS: Final[Mapping[str, Any]] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of every response, with the values that stand for nothing asked."""


def response_object(answer: Mapping[str, Any], call: Call | None, target: Target) -> Json:
    """Return a response: the fields of an answer, what it leaves out, and our name of the model.

    Parameters
    ----------
    answer : of a provider that speaks Responses, or translated
    call : whose fields are repeated; None if it is not known
    target : that answered
    """
    body = {} if call is None else call.body
    asked = {name: otherwise if body.get(name) is None else body[name] for name, otherwise in _DEFAULTS.items()}
    # A provider that stores the answer says so itself.
    given = {"id": None, "created_at": int(time.time()), "status": "in_progress", "store": False, "usage": None}
    response = {"object": "response", **asked, **given, "output": [], **answer, "model": target.model}
    if (exchange := None if call is None else call.exchange) is not None:
        response["previous_response_id"] = exchange.previous_id
        response["store"] = exchange.is_kept or response["store"]
        response["id"] = exchange.id_from(target) or response["id"]
    response["id"] = response["id"] or f"resp_{secrets.token_hex(24)}"
    return response


def for_caller(item: Json, call: Call | None, names: Mapping[str, ToolName]) -> Json:
    """Return an item as the caller knows its tools, and with reasoning to send back only if that was asked for."""
    return with_own_name(item if wants_encrypted(call) else without_carried(item), names)


def without_carried(item: Json) -> Json:
    """Return an item without the reasoning of other vendors that is carried in it; readable words of it stay.

    >>> without_carried({"type": "reasoning", "summary": [], "encrypted_content": "gAAAAB"})["encrypted_content"]
    'gAAAAB'
    """
    if item.get("type") == "reasoning" and is_carried(item.get("encrypted_content")):
        return {name: value for name, value in item.items() if name != "encrypted_content"}
    return item


def wants_encrypted(call: Call | None) -> bool:
    """Tell whether a call asks for reasoning in a form that can be sent back, or says that it is stored nowhere."""
    body = {} if call is None else call.body
    include = body.get("include")
    return body.get("store") is False or (isinstance(include, list) and ENCRYPTED in include)


def outputs(response: Mapping[str, Any]) -> list[Json]:
    """Return the items of a response."""
    return mappings(response.get("output"))
