"""The tolerant reader of Gemini's format: it repairs the responses of relays that nearly follow the standard.

| standard form | what relays send instead |
|---|---|
| fields in camel case | in snake case, as Google's own Python objects print them |
| ``finishReason`` in capitals | a word in small letters or of OpenAI's, or the number of Google's protocol buffers |
| ``parts`` a list | one part, or a text in the place of the content |
| ``args`` an object | JSON in a text, null, missing |
"""

from typing import Any, Final

import orjson

from router_model.serving.formats.shapes import Json, mapping, text

_CAMEL: Final = {
    "usage_metadata": "usageMetadata",
    "model_version": "modelVersion",
    "response_id": "responseId",
    "prompt_feedback": "promptFeedback",
    "finish_reason": "finishReason",
    "finish_message": "finishMessage",
    "block_reason": "blockReason",
    "function_call": "functionCall",
    "inline_data": "inlineData",
    "mime_type": "mimeType",
    "thought_signature": "thoughtSignature",
    "prompt_token_count": "promptTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
    "total_token_count": "totalTokenCount",
}
_REASONS: Final[dict[str | int, str]] = {
    **dict(enumerate(("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT"))),
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
    10: "LANGUAGE",
    **dict.fromkeys(("TOOL_CALLS", "TOOL_CALL", "FUNCTION_CALL", "TOOL_USE", "END_TURN", "EOS"), "STOP"),
    "LENGTH": "MAX_TOKENS",
    "CONTENT_FILTER": "SAFETY",
}
"""Google's words for its own numbers, and for the words of others."""


def by_the_book(response: Json) -> Json:
    """Return a response in the standard form.

    >>> part = {"function_call": {"name": "f", "args": '{"a": 1}'}}
    >>> odd = {"candidates": [{"content": {"parts": part}, "finish_reason": "stop"}]}
    >>> candidate = by_the_book(odd)["candidates"][0]
    >>> candidate["content"]["parts"], candidate["finishReason"]
    ([{'functionCall': {'name': 'f', 'args': {'a': 1}}}], 'STOP')
    """
    response = _camel(response)
    for name in ("usageMetadata", "promptFeedback"):
        if isinstance(response.get(name), dict):
            response[name] = _camel(response[name])
    candidates = response.get("candidates")
    candidates = [candidates] if isinstance(candidates, dict) else candidates
    if isinstance(candidates, list):
        response["candidates"] = [_candidate(one) if isinstance(one, dict) else one for one in candidates]
    return response


def _camel(fields: Json) -> Json:
    """Return an object with Google's names of the fields that are read here; of two spellings the right one counts."""
    if _CAMEL.keys().isdisjoint(fields):
        return fields
    return {_CAMEL.get(name, name): value for name, value in fields.items() if _CAMEL.get(name) not in fields}


def _candidate(candidate: Json) -> Json:
    candidate = _camel(candidate)
    if "finishReason" in candidate:
        reason = candidate["finishReason"]
        word = reason.upper() if isinstance(reason, str) else reason if type(reason) is int else 0
        word = _REASONS.get(word, word)
        # A number that is not in the table still says that the answer has ended.
        known = {"finishReason": word if isinstance(word, str) else "OTHER"} if word else {}
        candidate = {name: value for name, value in candidate.items() if name != "finishReason"} | known
    content = candidate.get("content")
    if isinstance(content, str):
        content = {"role": "model", "parts": [{"text": content}]}
    if isinstance(content, dict):
        parts = content.get("parts")
        parts = [parts] if isinstance(parts, dict) else parts
        if isinstance(parts, list):
            content = {**content, "parts": [_part(part) for part in parts if isinstance(part, dict)]}
        candidate = {**candidate, "content": content}
    return candidate


def _part(part: Json) -> Json:
    part = {name: value for name, value in _camel(part).items() if name != "text" or isinstance(value, str)}
    call = part.get("functionCall")
    if isinstance(call, dict):
        return {**part, "functionCall": {**call, "args": _args(call.get("args"))}}
    blob = part.get("inlineData")
    return {**part, "inlineData": _camel(blob)} if isinstance(blob, dict) else part


def _args(args: Any) -> Json:
    if isinstance(args, str) and text(args).strip():
        try:
            return mapping(orjson.loads(args))
        except orjson.JSONDecodeError:
            return {}
    return mapping(args)
