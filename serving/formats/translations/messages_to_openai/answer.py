"""Translate a ``chat.completion`` into Anthropic's message."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from router_model.serving.formats.shapes import Json, mapping, mappings, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_STOP: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def stop_reason(finish_reason: object, *, has_calls: bool = False, has_refused: bool = False) -> str:
    """Return Anthropic's word for why an answer ended; some providers say ``stop`` with a tool call, or a refusal.

    >>> stop_reason("length"), stop_reason("stop", has_calls=True), stop_reason("stop", has_refused=True)
    ('max_tokens', 'tool_use', 'refusal')
    """
    reason = _STOP.get(text(finish_reason), "end_turn")
    if reason == "end_turn" and has_calls:
        return "tool_use"
    return "refusal" if reason == "end_turn" and has_refused else reason


def message_answer(answer: Json) -> Json:
    """Return a chat completion as a message, without usage; of several choices the first.

    Raises
    ------
    UpstreamFailure
        If the arguments of a tool call are not a JSON object, though the answer was not cut.

    Examples
    --------
    >>> choice = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    >>> message_answer({"id": "c1", "model": "gpt", "choices": [choice]})["content"]
    [{'type': 'text', 'text': 'Hi'}]
    """
    choice = answer["choices"][0]
    message = mapping(choice.get("message"))
    finish = choice.get("finish_reason")
    calls = [_tool_use(call, is_cut=finish == "length") for call in mappings(message.get("tool_calls"))]
    blocks = _thinking(message) + _texts(message) + [call for call in calls if call is not None]
    return {
        "id": answer.get("id") or "",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or "",
        "content": blocks,
        "stop_reason": stop_reason(finish, has_calls=bool(calls), has_refused=bool(message.get("refusal"))),
        "stop_sequence": None,
    }


def reasoning_in(message: Mapping[str, Any]) -> str:
    """Return the reasoning of a message or delta: DeepSeek's, vLLM's and others' field, or OpenRouter's."""
    return text(message.get("reasoning_content")) or text(message.get("reasoning"))


def signed_thinking(details: object) -> list[Json]:
    """Return the thinking that a Claude model signed, where OpenRouter or a service like this one answered."""
    return [
        {"type": "thinking", "thinking": text(detail.get("text")), "signature": detail["signature"]}
        for detail in mappings(details)
        if detail.get("type") == "reasoning.text" and text(detail.get("signature"))
    ]


def _thinking(message: Mapping[str, Any]) -> list[Json]:
    signed = signed_thinking(message.get("reasoning_details"))
    reasoning = reasoning_in(message)
    if signed or not reasoning:
        return signed
    # The empty signature tells, when it comes back, that no Claude model wrote it: Anthropic would refuse it.
    return [{"type": "thinking", "thinking": reasoning, "signature": ""}]


def _texts(message: Mapping[str, Any]) -> list[Json]:
    texts = (text(message.get("content")), text(message.get("refusal")))
    return [{"type": "text", "text": said} for said in texts if said]


def _tool_use(call: Mapping[str, Any], *, is_cut: bool) -> Json | None:
    function = mapping(call.get("function"))
    try:
        parsed = orjson.loads(text(function.get("arguments")) or "{}")
    except orjson.JSONDecodeError as exc:
        if is_cut:
            return None  # half a call is none
        raise _no_object() from exc
    if not isinstance(parsed, dict):
        raise _no_object()
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": parsed}


def _no_object() -> UpstreamFailure:
    return UpstreamFailure(
        FailureKind.MALFORMED, "the provider's answer calls a tool with arguments that are not a JSON object"
    )
