from decimal import Decimal

import orjson
import pytest

from router_model.catalog import ModelCard
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.formats.gemini.writer import GeminiWriter
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind, Provider, Target

CARD = ModelCard("google/gemini", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal("0.5"))
TARGET = Target("google/gemini", Provider("google", Kind.GEMINI, "https://g/v1beta"), "gemini-2.5-flash", CARD)
CALL = Call(Surface.GENERATE, {"contents": []}, stream=True)
ADAPTER = Adapter(GeminiFormat(), GeminiFormat())
COUNTS = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 70,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1100,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
}


def response(text=None, reason=None, index=0, **fields):
    candidate = {"index": index}
    if text is not None:
        candidate["content"] = {"parts": [{"text": text}], "role": "model"}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash-001", "responseId": "r1"} | fields


def sse(*events):
    return b"".join(b"data: " + orjson.dumps(event) + b"\r\n\r\n" for event in events)


def events_of(pieces):
    lines = b"".join(pieces).split(b"\r\n\r\n")
    assert lines.pop() == b""
    return [orjson.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_whole_answer_has_our_model_and_the_cost():
    """400 fresh tokens at $2 a million, 600 cached at $0.5, 100 written at $10: 0.0008 + 0.0003 + 0.001 = $0.0021."""
    content = orjson.dumps(response("hi", "STOP", usageMetadata=COUNTS, avgLogprobs=-0.1))
    answer, facts = ADAPTER.answer(TARGET, "application/json", content, {"openrouter_metadata": {"attempt": 1}})
    assert answer == response("hi", "STOP", avgLogprobs=-0.1) | {
        "modelVersion": "google/gemini",
        "usageMetadata": COUNTS | {"cost": 0.0021},
        "openrouter_metadata": {"attempt": 1},
    }
    assert facts.cost_usd == 0.0021


def test_a_stream_says_usage_and_cost_on_its_last_event():
    stream = ADAPTER.stream(CALL, TARGET)
    first = stream.feed(sse(response("he", usageMetadata={"promptTokenCount": 1000})))
    assert stream.facts.has_content
    assert events_of(first)[0]["candidates"] == response("he")["candidates"]
    assert stream.feed(sse(response("y", "STOP", usageMetadata=COUNTS))) == []
    (last,) = events_of(stream.end({"openrouter_metadata": {}}))
    assert last["usageMetadata"] == COUNTS | {"cost": 0.0021}
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert (last["modelVersion"], last["openrouter_metadata"]) == ("google/gemini", {})


def test_after_an_end_one_event_is_held_back():
    """Each candidate ends by itself, and older models end with every event: only the last waits for the usage."""
    stream = ADAPTER.stream(CALL, TARGET)
    assert stream.feed(sse(response("a", "STOP"))) == []
    released = events_of(stream.feed(sse(response("b", "STOP", index=1), response(usageMetadata=COUNTS))))
    assert [event["candidates"][0].get("finishReason") for event in released] == ["STOP", "STOP"]
    (last,) = events_of(stream.end({}))
    assert last["usageMetadata"]["cost"] == 0.0021


def test_a_stream_without_usage_ends_with_an_estimate():
    """Nothing is said of the input here, as nothing is known of the request: one token out is 1e-5 USD."""
    stream = ADAPTER.stream(CALL, TARGET)
    stream.feed(sse(response("a", "STOP")))
    (last,) = events_of(stream.end({}))
    assert last["usageMetadata"]["candidatesTokenCount"] == 1
    assert last["usageMetadata"]["estimated"] == ["output_tokens", "cost"]
    assert last["usageMetadata"]["cost"] == pytest.approx(1e-5)


def test_a_blocked_prompt_ends_a_stream():
    stream = ADAPTER.stream(CALL, TARGET)
    assert stream.feed(sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": COUNTS})) == []
    (last,) = events_of(stream.end({}))
    assert last["promptFeedback"] == {"blockReason": "SAFETY"}


@pytest.mark.parametrize(
    ("events", "kind", "message"),
    [
        ([response("a")], FailureKind.TRUNCATED, "ended before its answer did"),
        ([], FailureKind.TRUNCATED, "ended before its answer did"),
        ([response("", "STOP")], FailureKind.MALFORMED, "contained no answer"),
    ],
)
def test_a_stream_that_is_no_answer_is_a_failure(events, kind, message):
    stream = ADAPTER.stream(CALL, TARGET)
    stream.feed(sse(*events))
    with pytest.raises(UpstreamFailure, match=message) as caught:
        stream.end({})
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (FailureKind.TIMEOUT, 504, "DEADLINE_EXCEEDED"),
        (FailureKind.RATE_LIMITED, 429, "RESOURCE_EXHAUSTED"),
        (FailureKind.TRUNCATED, 503, "UNAVAILABLE"),
        (FailureKind.KEY, 503, "UNAVAILABLE"),
    ],
)
def test_a_failure_in_the_middle_is_one_event(kind, code, status):
    """In the provider's words, save those about our key."""
    writer = GeminiWriter(TARGET)
    (event,) = events_of(writer.fail(UpstreamFailure(kind, "it broke")))
    message = "the provider refused the router's key" if kind is FailureKind.KEY else "it broke"
    assert event == {"error": {"code": code, "message": message, "status": status}}


def test_a_failure_after_an_end_takes_the_end_back():
    writer = GeminiWriter(TARGET)
    assert writer.write(response("a", "STOP")) == []
    held, error = events_of(writer.fail(UpstreamFailure(FailureKind.SERVER, "it broke")))
    assert held["candidates"] == response("a")["candidates"]
    assert "error" in error
