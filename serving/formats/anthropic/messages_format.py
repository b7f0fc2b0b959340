"""Anthropic's format: requests and answers of providers, and those of the surface."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.anthropic.assembler import MessageAssembler, message_events
from router_model.serving.formats.anthropic.failures import failure_in, read_failure
from router_model.serving.formats.anthropic.reader import EXPLAINS_NOTHING, AnthropicReader, n_written, says_something
from router_model.serving.formats.anthropic.tolerant import whole_message
from router_model.serving.formats.anthropic.usage import read_usage, write_usage
from router_model.serving.formats.anthropic.writer import AnthropicWriter
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.formats.json_text import dump_body, load_object
from router_model.serving.formats.shapes import Json, mapping, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Provider, Target

VERSION: Final = "2023-06-01"
_BETA: Final = "anthropic-beta"
_VERSION: Final = "anthropic-version"


class AnthropicFormat:
    """Anthropic's Messages; keeps nothing between calls."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request of ``/messages``; the caller's beta features go along where it spoke this format."""
        sent = {name: value for name, value in body.items() if name != "stream"}
        sent["model"] = target.upstream_model
        if call.stream:
            sent["stream"] = True
        headers = _headers(target.provider, call.headers if call.surface is Surface.MESSAGES else {})
        headers["accept"] = "text/event-stream" if call.stream else "application/json"
        if key is not None:
            headers["x-api-key"] = key
        return HttpRequest(_url(target.provider), headers, dump_body(sent, call))

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return a whole answer and what it says about itself.

        Raises
        ------
        UpstreamFailure
            If it is an error, no message, or a message with nothing in it.
        """
        answer = load_object(content, f"answer ({content_type[:100] or 'no content type'})")
        if answer.get("type") == "error" or "error" in answer:
            raise failure_in(answer)
        answer = whole_message(answer)
        blocks, usage = answer["content"], answer.get("usage")
        stop_reason = text(answer.get("stop_reason")) or None
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise _malformed("has no list of blocks as 'content'")
        if stop_reason in EXPLAINS_NOTHING and not any(map(says_something, blocks)):
            raise _malformed("is empty")
        return answer, Facts(
            response_id=text(answer.get("id")) or None,
            response_model=text(answer.get("model")) or None,
            finish_reason=stop_reason,
            usage=read_usage(usage) if isinstance(usage, Mapping) else None,
            has_content=any(map(says_something, blocks)),
            is_complete=True,
            n_bytes_written=n_written(blocks),
        )

    def as_stream(self, answer: Json) -> list[Json]:
        """Return the events of a whole message."""
        return message_events(answer)

    def reader(self) -> AnthropicReader:
        """Return what reads one stream of a provider."""
        return AnthropicReader()

    def assembler(self) -> MessageAssembler:
        """Return what puts one stream of a provider together."""
        return MessageAssembler()

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status."""
        return read_failure(status, headers, content)

    def write_answer(
        self,
        answer: Json,
        facts: Facts,
        target: Target,
        extras: Mapping[str, Any],
        call: Call | None = None,  # noqa: ARG002  (the protocol's)
    ) -> Json:
        """Return a whole answer as ``/v1/messages`` sends it."""
        usage = write_usage(facts, mapping(answer.get("usage")))
        return {**answer, "model": target.model, "usage": usage, **extras}

    def writer(self, call: Call, target: Target) -> AnthropicWriter:  # noqa: ARG002  (the protocol's; usage always comes)
        """Return what writes one stream of ``/v1/messages``."""
        return AnthropicWriter(target.model)


def _headers(provider: Provider, of_the_caller: Mapping[str, str]) -> dict[str, str]:
    """Return the provider's headers and the caller's version; beta features are those of both."""
    headers = {_VERSION: VERSION, **{name.lower(): value for name, value in provider.headers.items()}}
    if _VERSION in of_the_caller:
        headers[_VERSION] = of_the_caller[_VERSION]
    betas = [beta for beta in (headers.get(_BETA), of_the_caller.get(_BETA)) if beta]
    if betas:
        headers[_BETA] = ",".join(betas)
    return {**headers, "content-type": "application/json"}


def _url(provider: Provider) -> str:
    """Return where messages are sent; Anthropic's own clients take a base URL without the version.

    >>> from router_model.serving.providers.provider import Kind
    >>> _url(Provider("a", Kind.ANTHROPIC, "https://api.anthropic.com"))
    'https://api.anthropic.com/v1/messages'
    """
    base = provider.base_url.rstrip("/")
    return f"{base}/messages" if base.endswith("/v1") else f"{base}/v1/messages"


def _malformed(what: str) -> UpstreamFailure:
    return UpstreamFailure(
        FailureKind.MALFORMED, f"the provider's answer {what}; expected a message in Anthropic's format"
    )
