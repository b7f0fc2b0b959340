"""Google's Gemini as a `Format`."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from router_model.serving.formats.format import Call, Facts, Surface, request_headers
from router_model.serving.formats.gemini.assembler import GenerateAssembler
from router_model.serving.formats.gemini.failures import failure_of
from router_model.serving.formats.gemini.finish import MAY_BE_EMPTY
from router_model.serving.formats.gemini.reader import (
    GeminiReader,
    block_reason,
    candidates_of,
    finish_reason_of,
    parsed,
    parts_of,
)
from router_model.serving.formats.gemini.writer import GeminiWriter, with_usage
from router_model.serving.formats.json_text import dump_body
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target

KEY_HEADER: Final = "x-goog-api-key"
_NOT_IN_BODIES: Final = frozenset({"model", "stream"})
"""Both are in Google's URLs."""


class GeminiFormat:
    """``POST {base_url}/models/{model}:generateContent``, and ``:streamGenerateContent?alt=sse``."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request; the key is in a header, never in the URL."""
        sent = {name: value for name, value in body.items() if name not in _NOT_IN_BODIES}
        own = {} if key is None else {KEY_HEADER: key}
        headers = request_headers(call, target, own, speaks=call.surface is Surface.GENERATE)
        return HttpRequest(_url(target, stream=call.stream), headers, dump_body(sent, call))

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return a whole answer and what it says about itself.

        Raises
        ------
        UpstreamFailure
            If it is an error all the same, malformed, or has nothing in it.
        """
        if content_type and "json" not in content_type.lower():
            raise UpstreamFailure(
                FailureKind.MALFORMED,
                f"the provider answered with content type {content_type[:100]!r}; expected application/json",
            )
        answer, reader = parsed(content, "answer"), GeminiReader()
        reader.take(answer)
        if not _is_an_answer(answer):
            raise UpstreamFailure(FailureKind.MALFORMED, "the provider's answer is empty")
        return answer, reader.facts

    def as_stream(self, answer: Json) -> list[Json]:
        """Return the answer: a whole one can be read as the only event of a stream."""
        return [answer]

    def reader(self) -> GeminiReader:
        """Return what reads one stream of a provider."""
        return GeminiReader()

    def assembler(self) -> GenerateAssembler:
        """Return what puts one stream of a provider together."""
        return GenerateAssembler()

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status."""
        return failure_of(status, headers, content)

    def write_answer(
        self,
        answer: Json,
        facts: Facts,
        target: Target,
        extras: Mapping[str, Any],
        call: Call | None = None,  # noqa: ARG002  (the protocol's)
    ) -> Json:
        """Return a whole answer as Google's clients read it: ``modelVersion`` ours, ``usageMetadata.cost`` in USD."""
        return with_usage(answer | {"modelVersion": target.model}, facts) | dict(extras)

    def writer(self, call: Call, target: Target) -> GeminiWriter:  # noqa: ARG002  (Google always sends the usage)
        """Return what writes one stream of the surface."""
        return GeminiWriter(target)


def _url(target: Target, *, stream: bool) -> str:
    """Return the URL of a model; an id with a slash names its collection itself (``tunedModels/mine``)."""
    # Quoted, so that an id with '?', '#' or ':' cannot lead to another method of the URL.
    model = quote(target.upstream_model, safe="/")
    resource = model if "/" in model else f"models/{model}"
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"{target.provider.base_url}/{resource}:{method}"


def _is_an_answer(answer: Json) -> bool:
    """Whether there is more than thoughts in it, or a reason why not."""
    return block_reason(answer) is not None or any(
        finish_reason_of(candidate) in MAY_BE_EMPTY or any(map(_is_said, parts_of(candidate)))
        for candidate in candidates_of(answer)
    )


def _is_said(part: Json) -> bool:
    return not part.get("thought") and any(value for name, value in part.items() if name != "thoughtSignature")
