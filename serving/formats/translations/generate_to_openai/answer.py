"""Translate a chat completion into an answer of Google's surface."""

from typing import Any

import orjson

from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, number_of, text
from router_model.serving.formats.translations.google_finish import gemini_finish
from router_model.serving.formats.translations.google_media import part_of_url
from router_model.serving.formats.translations.google_signatures import part_signature, signature_in
from router_model.serving.providers.failures import FailureKind, UpstreamFailure


def generated_content(answer: Json) -> Json:
    """Return a whole chat completion as a ``GenerateContentResponse``; the surface adds the usage.

    Raises
    ------
    UpstreamFailure
        If the arguments of a tool call are not a JSON object: the provider's model wrote them.
    """
    return {
        "candidates": [_candidate(choice) for choice in mappings(answer.get("choices"))],
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
    reasoning = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    if reasoning:
        parts.append({"text": reasoning, "thought": True})
    content = text(message.get("content")) + text(message.get("refusal"))
    if content:
        parts.append({"text": content})
    signature = signature_in(message)
    if signature:
        parts = [*parts[:-1], (parts[-1] if parts else {"text": ""}) | part_signature(signature)]
    return parts + [part_of_url(url, "images") for url in _image_urls(message)]


def call_part(call: Json) -> Json:
    """Return the part of a tool call.

    Raises
    ------
    UpstreamFailure
        If its arguments are not a JSON object.

    Examples
    --------
    >>> call_part({"id": "call_1", "function": {"name": "now", "arguments": ""}})
    {'functionCall': {'id': 'call_1', 'name': 'now', 'args': {}}}
    """
    function = mapping(call.get("function"))
    name, arguments = function.get("name"), _arguments(function.get("arguments"))
    part: Json = {"functionCall": {"id": call.get("id"), "name": name, "args": arguments}}
    return part | part_signature(signature_in(call))


def logprobs_result(logprobs: Any) -> Json:
    """Return ``logprobsResult`` and ``avgLogprobs`` of a choice's ``logprobs``; empty if it has none.

    Examples
    --------
    >>> tokens = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -0.5}]
    >>> logprobs_result({"content": tokens})["avgLogprobs"]  # (-1 - 0.5) / 2
    -0.75
    """
    tokens = mappings(mapping(logprobs).get("content"))
    if not tokens:
        return {}
    result: Json = {"chosenCandidates": [_token(token) for token in tokens]}
    tops = [mappings(token.get("top_logprobs")) for token in tokens]
    if any(tops):
        result["topCandidates"] = [{"candidates": [_token(one) for one in top]} for top in tops]
    mean = sum(number_of(token.get("logprob"), 0.0) for token in tokens) / len(tokens)
    return {"avgLogprobs": mean, "logprobsResult": result}


def candidate_of(index: int, parts: list[Json], reason: str | None, logprobs: Any) -> Json:
    """Return a candidate; one that has not ended has no finish reason."""
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    return candidate | ({"finishReason": gemini_finish(reason)} if reason else {}) | logprobs_result(logprobs)


def _candidate(choice: Json) -> Json:
    message = mapping(choice.get("message"))
    parts = text_parts(message) + [call_part(call) for call in mappings(message.get("tool_calls"))]
    reason = text(choice.get("finish_reason")) or "stop"
    return candidate_of(index_of(choice), parts, reason, choice.get("logprobs"))


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


def _image_urls(message: Json) -> list[str]:
    """Return the images that a model has drawn (OpenRouter's ``images``)."""
    urls = [text(mapping(one.get("image_url")).get("url")) for one in mappings(message.get("images"))]
    # `part_of_url` would refuse others as the caller's mistake, but the model wrote them.
    return [url for url in urls if url.startswith(("data:", "https://"))]


def _token(token: Json) -> Json:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}
