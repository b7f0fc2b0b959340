"""OpenAI's embeddings as a `Format`: passed through, with our ``model`` and the cost."""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Assembler, Call, EventReader, EventWriter, Facts, Translation
from router_model.serving.formats.openai.bodies import answer_object, text_or_none
from router_model.serving.formats.openai.chat_answers import written_answer
from router_model.serving.formats.openai.failures import failure_of
from router_model.serving.formats.openai.request import openai_request
from router_model.serving.formats.openai.usage import read_usage, usage_json
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target


class EmbeddingsFormat:
    """Embeddings of providers that have OpenAI's ``/embeddings``; they never come as a stream."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request; all but ``model`` is the caller's.

        Raises
        ------
        InvalidRequestError
            If a stream is asked for.
        """
        if call.stream:
            _refuse_stream()
        return openai_request("/embeddings", body, call, target, key)

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return the embeddings and what they say about themselves.

        Raises
        ------
        UpstreamFailure
            If it is an error all the same, malformed, or contains no embedding.
        """
        answer = answer_object(content_type, content)
        data = answer.get("data")
        if not isinstance(data, list) or not data:
            raise UpstreamFailure(
                FailureKind.MALFORMED, "the provider's answer has no embeddings; expected one at least"
            )
        usage = usage_json(answer)
        return answer, Facts(
            response_id=text_or_none(answer.get("id")),
            response_model=text_or_none(answer.get("model")),
            usage=None if usage is None else read_usage(usage),
            has_content=True,
            is_complete=True,
            is_text=False,
        )

    def as_stream(self, answer: Json) -> NoReturn:  # noqa: ARG002  (the protocol's)
        """Refuse, because embeddings are never streamed."""
        _refuse_stream()

    def reader(self) -> EventReader:
        """Refuse, because embeddings are never streamed."""
        _refuse_stream()

    def assembler(self) -> Assembler:
        """Refuse, because embeddings are never streamed."""
        _refuse_stream()

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
        """Return the embeddings with our ``model``, usage with cost and `extras`."""
        return written_answer(answer, facts, target, extras)

    def writer(self, call: Call, target: Target) -> EventWriter:  # noqa: ARG002
        """Refuse, because embeddings are never streamed."""
        _refuse_stream()


def _refuse_request(_: Mapping[str, Any]) -> NoReturn:
    raise InvalidRequestError(
        "the model's provider does not offer embeddings in OpenAI's format; choose a model of a provider "
        'with kind = "openai"',
        param="model",
    )


def _refuse_stream() -> NoReturn:
    raise InvalidRequestError("embeddings cannot be streamed; leave out stream=true", param="stream")


NO_EMBEDDINGS: Final = Translation(_refuse_request, lambda answer: answer, _refuse_stream)
"""To a provider without embeddings: it refuses, so that the next candidate is called."""
