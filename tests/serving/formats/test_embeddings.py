import orjson
import pytest
from openai.types import CreateEmbeddingResponse
from openai_streams import target_at

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind
from router_model.serving.providers.usage import Usage

ADAPTER = adapter_for(Surface.EMBEDDINGS, Kind.OPENAI)
BODY = {"model": "auto", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2, "mine": {"x": 1}}
ANSWER = {
    "object": "list",
    "data": [{"object": "embedding", "index": n, "embedding": [0.1, -0.0123456789012345]} for n in (0, 1)],
    "model": "small-2026-01-01",
    "usage": {"prompt_tokens": 500, "total_tokens": 500},
}


def call(**settings):
    return Call(Surface.EMBEDDINGS, BODY, **settings)


def answered(body, content_type="application/json"):
    return ADAPTER.answer(target_at(), content_type, orjson.dumps(body), {"x": 1})


def test_the_body_is_untouched_but_for_the_model():
    request = ADAPTER.request(call(headers={"x-trace": "7"}), target_at(), "k-1")
    assert request.url == "https://api.acme.test/v1/embeddings"
    assert orjson.loads(request.content) == BODY | {"model": "small-2026-01-01"}
    assert request.headers["authorization"] == "Bearer k-1"
    assert request.headers["x-trace"] == "7"


def test_an_answer_carries_our_model_and_its_cost():
    """500 x 2e-6 = 0.001 USD."""
    body, facts = answered(ANSWER)
    assert body["data"] == ANSWER["data"]
    assert (body["model"], body["x"]) == ("acme/small", 1)
    assert body["usage"]["cost"] == pytest.approx(0.001)
    assert (facts.usage, facts.cost_usd) == (Usage(500, 0), pytest.approx(0.001))
    assert CreateEmbeddingResponse.model_validate(body).usage.total_tokens == 500


@pytest.mark.parametrize("data", [None, [], "x", {}])
def test_an_answer_without_embeddings_is_malformed(data):
    with pytest.raises(UpstreamFailure, match="has no embeddings; expected one at least") as raised:
        answered(ANSWER | {"data": data})
    assert raised.value.kind is FailureKind.MALFORMED


def test_errors_are_read_as_in_chat():
    failure = ADAPTER.failure(429, {"retry-after": "2"}, b'{"error": {"message": "slow"}}')
    assert (failure.kind, failure.message, failure.retry_after_s) == (FailureKind.RATE_LIMITED, "slow", 2.0)
    with pytest.raises(UpstreamFailure, match="slow"):
        answered({"error": {"message": "slow"}})


def test_there_are_no_streams_of_embeddings():
    with pytest.raises(InvalidRequestError, match="cannot be streamed; leave out"):
        ADAPTER.request(call(stream=True), target_at(), None)
    with pytest.raises(InvalidRequestError, match="cannot be streamed"):
        ADAPTER.stream(call(), target_at())
    with pytest.raises(InvalidRequestError, match="cannot be streamed"):
        ADAPTER.surface.writer(call(), target_at())


@pytest.mark.parametrize("kind", [Kind.ANTHROPIC, Kind.GEMINI])
def test_a_provider_without_embeddings_is_for_the_next_candidate(kind):
    adapter = adapter_for(Surface.EMBEDDINGS, kind)
    with pytest.raises(InvalidRequestError, match="provider does not offer embeddings in OpenAI's format"):
        adapter.request(call(), target_at(kind=kind), "k-1")
    with pytest.raises(InvalidRequestError, match="cannot be streamed"):
        adapter.stream(call(), target_at(kind=kind))


def test_echo_has_embeddings():
    assert adapter_for(Surface.EMBEDDINGS, Kind.ECHO).translation is None
