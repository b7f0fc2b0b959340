"""A chat completion, said as Google's surface does."""

from typing import Any

import orjson

from serving.formats.format import Json
from serving.formats.translations.gemini.finish import gemini_finish
from serving.formats.translations.gemini.media import images_of
from serving.providers.failures import FailureKind, UpstreamFailure


def generated_content(answer: Json) -> Json:
    """Return a whole chat completion as a ``GenerateContentResponse``; the surface adds the usage.

    Raises
    ------
    UpstreamFailure
        If the arguments of a tool call are no JSON object: the provider's model wrote them.
    """
    choices = answer.get("choices")
    return {
        "candidates": [
            _candidate(one) for one in (choices if isinstance(choices, list) else ()) if isinstance(one, dict)
        ],
        "modelVersion": answer.get("model"),
        "responseId": answer.get("id"),
    }


def text_parts(message: Json) -> list[Json]:
    """Return the parts of what a message, or a delta, says in words.

    Examples
    --------
    >>> text_parts({"reasoning_content": "hm", "content": "yes"})
    [{'text': 'hm', 'thought': True}, {'text': 'yes'}]
    """
    parts: list[Json] = []
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str):
        parts.append({"text": reasoning, "thought": True})
    content = _text(message.get("content")) + _text(message.get("refusal"))
    if content:
        parts.append({"text": content})
    signature = _signature(message)
    if signature:
        parts = [*parts[:-1], (parts[-1] if parts else {"text": ""}) | {"thoughtSignature": signature}]
    return parts + images_of(message, "images")


def call_part(call: Json) -> Json:
    """Return the part of a tool call.

    Raises
    ------
    UpstreamFailure
        If its arguments are no JSON object.

    Examples
    --------
    >>> call_part({"id": "call_1", "function": {"name": "now", "arguments": ""}})
    {'functionCall': {'id': 'call_1', 'name': 'now', 'args': {}}}
    """
    function = call.get("function") or {}
    part: Json = {
        "functionCall": {
            "id": call.get("id"),
            "name": function.get("name"),
            "args": _arguments(function.get("arguments")),
        }
    }
    signature = _signature(call)
    return part | ({"thoughtSignature": signature} if signature else {})


def logprobs_result(logprobs: Any) -> Json:
    """Return ``logprobsResult`` and ``avgLogprobs`` of a choice's ``logprobs``; empty where it has none.

    Examples
    --------
    >>> tokens = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -0.5}]
    >>> logprobs_result({"content": tokens})["avgLogprobs"]  # (-1 - 0.5) / 2
    -0.75
    """
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return {}
    result: Json = {"chosenCandidates": [_token(token) for token in tokens]}
    if any(token.get("top_logprobs") for token in tokens):
        result["topCandidates"] = [{"candidates": [_token(one) for one in _top(token)]} for token in tokens]
    return {"avgLogprobs": sum(token["logprob"] for token in tokens) / len(tokens), "logprobsResult": result}


def candidate_of(index: int, parts: list[Json], reason: str | None, logprobs: Any) -> Json:
    """Return a candidate; one that has not ended has no finish reason."""
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    return candidate | ({"finishReason": gemini_finish(reason)} if reason else {}) | logprobs_result(logprobs)


def _candidate(choice: Json) -> Json:
    message = choice.get("message") or {}
    parts = text_parts(message) + [call_part(call) for call in message.get("tool_calls") or []]
    return candidate_of(choice.get("index") or 0, parts, choice.get("finish_reason") or "stop", choice.get("logprobs"))


def _arguments(text: Any) -> Json:
    try:
        arguments = orjson.loads(text) if isinstance(text, str) and text.strip() else text or {}
    except orjson.JSONDecodeError as exc:
        raise UpstreamFailure(
            FailureKind.MALFORMED, f"the model wrote arguments of a tool call that are not valid JSON: {exc}"
        ) from exc
    if not isinstance(arguments, dict):
        raise UpstreamFailure(
            FailureKind.MALFORMED,
            f"the model wrote {type(arguments).__name__} as the arguments of a tool call; expected an object",
        )
    return arguments


def _text(value: Any) -> str:
    """Return text, which a few providers send in parts."""
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _signature(value: Json) -> str | None:
    extra = value.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    return google.get("thought_signature") if isinstance(google, dict) else None


def _token(token: Json) -> Json:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}


def _top(token: Json) -> list[Json]:
    return token.get("top_logprobs") or []
