"""OpenAI's Responses as a `Format`."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Call, EventReader, EventWriter, Facts
from router_model.serving.formats.json_text import dump_body
from router_model.serving.formats.openai.failures import failure_of
from router_model.serving.formats.openai.request import openai_headers
from router_model.serving.formats.responses.assembler import ResponseAssembler
from router_model.serving.formats.responses.reader import ResponsesReader, read_response
from router_model.serving.formats.responses.response_object import for_caller, outputs, response_object
from router_model.serving.formats.responses.tool_names import tool_names
from router_model.serving.formats.responses.usage import write_usage
from router_model.serving.formats.responses.writer import ResponsesWriter
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target

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

    def reader(self) -> EventReader:
        """Return what reads one stream of a provider."""
        return ResponsesReader()

    def assembler(self) -> ResponseAssembler:
        """Return what puts one stream of a provider together."""
        return ResponseAssembler()

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status."""
        return failure_of(status, headers, content)

    def write_answer(
        self, answer: Json, facts: Facts, target: Target, extras: Mapping[str, Any], call: Call | None = None
    ) -> Json:
        """Return a response with our ``model``, the caller's names of tools, usage with cost and `extras`."""
        names = {} if call is None else tool_names(call.body)
        items = [for_caller(item, call, names) for item in outputs(answer)]
        usage = write_usage(mapping(answer.get("usage")), facts)
        return {**response_object(answer, call, target.model), "output": items, "usage": usage, **extras}

    def writer(self, call: Call, target: Target) -> EventWriter:
        """Return what writes one stream."""
        return ResponsesWriter(call, target)
