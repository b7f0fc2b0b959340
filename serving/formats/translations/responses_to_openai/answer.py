"""Translate a ``chat.completion`` into a response."""

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import OUR_IDS, carried
from router_model.serving.formats.shapes import Json, mapping, mappings, text
from router_model.serving.formats.translations.messages_to_openai.answer import reasoning_in

_INCOMPLETE: Final[Mapping[str, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_answer(answer: Json) -> Json:
    """Return a chat completion as a response, without usage; of several choices the first.

    Examples
    --------
    >>> choice = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    >>> response = response_answer({"id": "c1", "model": "gpt", "choices": [choice]})
    >>> response["status"], response["output"][0]["content"][0]["text"]
    ('completed', 'Hi')
    """
    choice = answer["choices"][0]
    message = mapping(choice.get("message"))
    ending = ending_of(choice.get("finish_reason"))
    items = _reasoning(message) + _said(message, mapping(choice.get("logprobs")))
    items += [call_item(call) for call in mappings(message.get("tool_calls"))]
    if items and ending["status"] == "incomplete" and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    created = answer.get("created") or int(time.time())
    return {"id": answer.get("id") or "", "created_at": created, **ending, "output": items}


def ending_of(finish_reason: object) -> Json:
    """Return the fields that say how a response ended.

    >>> ending_of("tool_calls"), ending_of("length")["incomplete_details"]
    ({'status': 'completed', 'incomplete_details': None}, {'reason': 'max_output_tokens'})
    """
    reason = _INCOMPLETE.get(text(finish_reason))
    if reason is None:
        return {"status": "completed", "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def new_id(prefix: str) -> str:
    """Return an id for an item that was made here."""
    return f"{prefix}{OUR_IDS}{secrets.token_hex(12)}"


def reasoning_item(item_id: str, thought: str, details: list[Json]) -> Json:
    """Return reasoning as an item; what the model's vendor wants back is carried in it."""
    kept = {"reasoning_content": thought} | ({"reasoning_details": details} if details else {})
    summary = [{"type": "summary_text", "text": thought}] if thought else []
    return {"id": item_id, "type": "reasoning", "summary": summary, "encrypted_content": carried(kept)}


def message_item(item_id: str, parts: list[Json]) -> Json:
    """Return a message of the assistant as an item."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": parts}


def text_part(said: str, logprobs: list[Json], annotations: list[Json]) -> Json:
    """Return a text as a part of a message."""
    return {"type": "output_text", "text": said, "annotations": annotations, "logprobs": logprobs}


def call_item(call: Mapping[str, Any]) -> Json:
    """Return a tool call as an item."""
    function = mapping(call.get("function"))
    item = {
        "id": new_id("fc"),
        "type": "function_call",
        "status": "completed",
        "call_id": call.get("id"),
        "name": text(function.get("name")),
        "arguments": text(function.get("arguments")),
    }
    return item | ({"extra_content": call["extra_content"]} if call.get("extra_content") else {})


def annotations_in(message: Mapping[str, Any]) -> list[Json]:
    """Return the citations of a message, or of a delta, as Responses has them."""
    cited = mappings(message.get("annotations"))
    return [{"type": "url_citation", **mapping(one.get("url_citation"))} for one in cited if one.get("url_citation")]


def _reasoning(message: Mapping[str, Any]) -> list[Json]:
    thought, details = reasoning_in(message), mappings(message.get("reasoning_details"))
    return [reasoning_item(new_id("rs"), thought, details)] if thought or details else []


def _said(message: Mapping[str, Any], logprobs: Mapping[str, Any]) -> list[Json]:
    parts: list[Json] = []
    if said := text(message.get("content")):
        parts.append(text_part(said, mappings(logprobs.get("content")), annotations_in(message)))
    if refusal := text(message.get("refusal")):
        parts.append({"type": "refusal", "refusal": refusal})
    return [message_item(new_id("msg"), parts)] if parts else []
