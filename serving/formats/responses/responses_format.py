"""OpenAI's Responses as a `Format`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.fitting.parameters import REASONING_HISTORY
from router_model.serving.formats.format import Call, EventReader, EventWriter, Facts
from router_model.serving.formats.json_text import dump_body
from router_model.serving.formats.openai.failures import failure_of
from router_model.serving.formats.openai.request import openai_headers
from router_model.serving.formats.responses.assembler import ResponseAssembler, response_events
from router_model.serving.formats.responses.reader import ResponsesReader, read_response
from router_model.serving.formats.responses.response_object import for_caller, outputs, response_object
from router_model.serving.formats.responses.tool_names import tool_names, with_own_name
from router_model.serving.formats.responses.usage import write_usage
from router_model.serving.formats.responses.writer import ResponsesWriter
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.failures import FailureKind, Refusal, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target

_NOT_KEPT: Final = re.compile(
    r"^(?:item|previous response|response|conversation|prompt|file)\b.{0,120}not found", re.IGNORECASE
)
_NOT_READABLE: Final = "invalid_encrypted_content"
_REASONING_NOT_KEPT: Final = re.compile(r"^item with id '?rs_.{0,120}not found", re.IGNORECASE)
_USAGE_ASKED: Final = "include_usage"
"""Of chat's ``stream_options``; the usage always comes here, and OpenAI refuses the field."""


class ResponsesFormat:
    """Responses: read from providers, and written for callers."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request; all but ``model`` and ``stream`` is the caller's."""
        body["model"] = target.upstream_model
        body["stream"] = call.stream
        options = {name: one for name, one in mapping(body.pop("stream_options", None)).items() if name != _USAGE_ASKED}
        if options and call.stream:
            body["stream_options"] = options
        url = f"{target.provider.base_url}/responses"
        return HttpRequest(url, openai_headers(call, target, key), dump_body(body, call))

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return a response and what it says about itself."""
        return read_response(content_type, content)

    def as_stream(self, answer: Json) -> list[Json]:
        """Return the events of a whole response."""
        return response_events(answer)

    def reader(self) -> EventReader:
        """Return what reads one stream of a provider."""
        return ResponsesReader()

    def assembler(self) -> ResponseAssembler:
        """Return what puts one stream of a provider together."""
        return ResponseAssembler()

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status.

        What a body refers to and the provider does not keep is no model that is gone: the caller is told. Reasoning of
        another provider or account, which this one cannot read, is left out, and the model is asked once more.
        """
        failure = failure_of(status, headers, content)
        if failure.code == _NOT_READABLE or _REASONING_NOT_KEPT.search(failure.message):
            failure.kind, failure.refusal = FailureKind.REFUSED, Refusal((REASONING_HISTORY,))
        elif failure.kind is FailureKind.MODEL_GONE and _NOT_KEPT.search(failure.message):
            failure.kind = FailureKind.BAD_REQUEST
        return failure

    def write_answer(
        self, answer: Json, facts: Facts, target: Target, extras: Mapping[str, Any], call: Call | None = None
    ) -> Json:
        """Return a response with our ``model``, the caller's names of tools, usage with cost and `extras`."""
        names = {} if call is None else tool_names(call.body)
        items = [for_caller(item, call, names) for item in outputs(answer)]
        usage = write_usage(mapping(answer.get("usage")), facts)
        response = {**response_object(answer, call, target), "output": items, "usage": usage, **extras}
        if call is not None and call.exchange is not None:
            call.exchange.response = response
            call.exchange.output = [with_own_name(item, names) for item in outputs(answer)]
        return response

    def writer(self, call: Call, target: Target) -> EventWriter:
        """Return what writes one stream."""
        return ResponsesWriter(call, target)
