"""OpenAI's chat completions as a `Format`."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.format import Call, EventReader, EventWriter, Facts
from router_model.serving.formats.function_calls import with_function_calls
from router_model.serving.formats.openai.assembler import ChatAssembler
from router_model.serving.formats.openai.chat_answers import read_chat_answer, written_answer
from router_model.serving.formats.openai.failures import failure_of
from router_model.serving.formats.openai.reader import ChatReader
from router_model.serving.formats.openai.request import openai_request
from router_model.serving.formats.openai.writer import ChatWriter
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target


class OpenAIFormat:
    """Chat completions: read from providers, and written for callers."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request; all but ``model``, ``stream`` and ``stream_options`` is the caller's."""
        return openai_request("/chat/completions", body, call, target, key)

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return a chat completion and what it says about itself."""
        return read_chat_answer(content_type, content)

    def as_stream(self, answer: Json) -> list[Json]:
        """Return the answer: a whole one can be read as the only event of a stream."""
        return [answer]

    def reader(self) -> EventReader:
        """Return what reads one stream."""
        return ChatReader()

    def assembler(self) -> ChatAssembler:
        """Return what puts one stream of a provider together."""
        return ChatAssembler()

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status."""
        return failure_of(status, headers, content)

    def write_answer(
        self, answer: Json, facts: Facts, target: Target, extras: Mapping[str, Any], call: Call | None = None
    ) -> Json:
        """Return a chat completion with our ``model``, usage with cost and `extras`."""
        if call is not None and call.declares_functions:
            answer = with_function_calls(answer)
        return written_answer(answer, facts, target, extras)

    def writer(self, call: Call, target: Target) -> EventWriter:
        """Return what writes one stream."""
        return ChatWriter(call, target)
