"""Write the chunks of a chat completion; the last chunk of an answer waits for the usage and its cost.

A chunk is read and written anew rather than changed in its bytes: ``orjson.dumps`` of one takes half a microsecond,
less than finding out whether its bytes could stay.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from router_model.serving.common.causes import Shape, said_of
from router_model.serving.formats.format import Call, Facts
from router_model.serving.formats.function_calls import with_function_calls
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.openai.choices import say_reasoning, says_something
from router_model.serving.formats.openai.finish import ERROR
from router_model.serving.formats.openai.usage import usage_json, written_usage
from router_model.serving.formats.shapes import Json, index_of
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Target

_NO_STATUS: Final = 502
DONE_EVENT: Final = b"data: [DONE]\n\n"
_ERROR_TYPES: Final = {
    FailureKind.RATE_LIMITED: "rate_limit_error",
    FailureKind.BAD_REQUEST: "invalid_request_error",
    FailureKind.REFUSED: "invalid_request_error",
    FailureKind.TOO_LONG: "invalid_request_error",
    FailureKind.MODEL_GONE: "not_found_error",
}
_CODES: Final = {FailureKind.RATE_LIMITED: "rate_limit_exceeded"}
"""As before a stream; clients know this one."""


class ChatWriter:
    """Writes the chunks of one stream (an `EventWriter`).

    Usage goes on the last chunk with a ``finish_reason``, so that who reads ``choices[0]`` of every chunk can. A
    caller that sets ``stream_options.include_usage`` to true gets it on a chunk of its own with ``"choices": []``; one
    that sets it to false gets none.
    """

    def __init__(self, call: Call, target: Target) -> None:
        self._model = target.model
        self._provider = target.provider.name
        self._card = target.card
        self._for_openrouter = call.for_openrouter
        self._wants_usage = call.wants_usage
        self._wants_functions = call.declares_functions
        self._last: Json = {}
        self._finishing: dict[int, Json] = {}
        self._usage_chunk: Json | None = None

    def write(self, event: Json) -> list[bytes]:
        """Return the chunk as it is sent; nothing, if it is held back or was sent already."""
        event["model"] = self._model
        event.setdefault("provider", self._provider)
        for choice in event.get("choices") or ():
            say_reasoning(choice.get("delta"))
        if self._wants_functions:
            event = with_function_calls(event)
        if usage_json(event) is not None:
            self._usage_chunk = event
        choices = event.get("choices")
        if not choices:
            return [] if event is self._usage_chunk else [_sent(_without_usage(event))]
        self._last = event
        if any(choice.get("finish_reason") for choice in choices):
            return [_sent(chunk) for chunk in self._hold_back(_without_usage(event), choices)]
        return [_sent(_without_usage(event) if "usage" in event or event is self._usage_chunk else event)]

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the chunks that finish the choices, usage with cost and `extras` on the last, and ``[DONE]``."""
        usage = written_usage(usage_json(self._usage_chunk or {}), facts, self._card)
        if self._wants_usage is False:
            usage = None
        *chunks, last = self._last_chunks(is_usage_apart=self._wants_usage is True and usage is not None)
        last |= extras if usage is None else {"usage": usage, **extras}
        return [*map(_sent, (*chunks, last)), DONE_EVENT]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return an event with the error, and ``[DONE]``.

        Without ``choices``, as some SDKs take whatever has them for a chunk. OpenRouter's know no event without.
        """
        if not self._for_openrouter:
            return [_sent({"error": _error(failure)}), DONE_EVENT]
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": ERROR}
        said = said_of(failure.cause, Shape.OPENAI)
        error = {"code": said.status or failure.status or _NO_STATUS, "message": said.message(failure.words, None)}
        return [_sent(self._chunk([choice]) | {"error": error}), DONE_EVENT]

    def _hold_back(self, chunk: Json, choices: list[Json]) -> Iterator[Json]:
        """Yield what a chunk says, a choice at a time; keep which choice finishes why, the first time it says so."""
        for choice in choices:
            if not choice.get("finish_reason"):
                yield {**chunk, "choices": [choice]}
                continue
            finish = choice
            if says_something(choice.get("delta") or {}):
                yield {**chunk, "choices": [{**choice, "finish_reason": None}]}
                finish = {**choice, "delta": {}} | ({"logprobs": None} if "logprobs" in choice else {})
            # The first end stays: a choice must finish once, and some servers repeat the end.
            self._finishing.setdefault(index_of(choice), {**chunk, "choices": [finish]})

    def _last_chunks(self, *, is_usage_apart: bool) -> list[Json]:
        """Return the chunks that were held back; the last one is to carry the usage, and all else its chunk had."""
        chunks = list(self._finishing.values())
        about = _without_usage(self._usage_chunk or {})
        if is_usage_apart or not chunks:
            return [*chunks, {**self._chunk([]), **about, "choices": []}]
        return [*chunks[:-1], {**about, **chunks[-1]}]

    def _chunk(self, choices: list[Json]) -> Json:
        """Return a chunk of our own, like those of the stream."""
        return {
            "id": self._last.get("id") or "",
            "object": "chat.completion.chunk",
            "created": self._last.get("created") or int(time.time()),
            "model": self._model,
            "provider": self._provider,
            "choices": choices,
        }


def _error(failure: UpstreamFailure) -> Json:
    said = said_of(failure.cause, Shape.OPENAI)
    return {
        "message": said.message(failure.words, None),
        "type": said.type or _ERROR_TYPES.get(failure.kind, "server_error"),
        "param": failure.param,
        "code": said.code or said.type or _CODES.get(failure.kind, str(failure.kind)),
        "metadata": {"error_type": failure.error_type, "provider_code": failure.code},
    }


def _without_usage(event: Json) -> Json:
    return {name: value for name, value in event.items() if name not in {"usage", "x_groq"}}


def _sent(event: Json) -> bytes:
    return b"data: " + dump(event) + b"\n\n"
