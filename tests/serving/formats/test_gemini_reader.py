import orjson
import pytest

from router_model.serving.formats.format import Event
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.formats.gemini.reader import GeminiReader
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.usage import Usage

JSON = "application/json; charset=UTF-8"


def candidate(*parts, reason=None, index=0):
    one = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    return one | ({"finishReason": reason} if reason else {})


def response(*candidates, **fields):
    return {"candidates": list(candidates), "modelVersion": "gemini-2.5-flash", "responseId": "r1"} | fields


def read_all(*responses):
    reader = GeminiReader()
    for one in responses:
        reader.read(Event(orjson.dumps(one)))
    return reader.facts


def whole(answer):
    return GeminiFormat().read_answer(JSON, orjson.dumps(answer))


def test_a_whole_answer_says_what_it_is():
    """Thoughts are beside the candidates' tokens at Google's: 20 + 30 = 50 were written, 100 read."""
    counts = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 150,
    }
    answer, facts = whole(response(candidate({"text": "hi"}, reason="STOP"), usageMetadata=counts))
    assert answer["candidates"][0]["content"]["parts"] == [{"text": "hi"}]
    assert (facts.response_id, facts.response_model, facts.finish_reason) == ("r1", "gemini-2.5-flash", "STOP")
    assert facts.usage == Usage(100, 50, cached_input_tokens=60, reasoning_tokens=30)
    assert facts.has_content
    assert facts.is_complete


def test_more_cached_than_read_is_cut():
    facts = read_all(response(usageMetadata={"promptTokenCount": 10, "cachedContentTokenCount": 12}))
    assert facts.usage == Usage(10, 0, cached_input_tokens=10)


@pytest.mark.parametrize(
    "answer",
    [
        response(),
        {},
        response(candidate(reason="STOP")),
        response(candidate({"text": ""}, reason="STOP")),
        response(candidate({"text": "hm", "thought": True}, reason="STOP")),
        response(candidate({"text": "", "thoughtSignature": "c2ln"}, reason="OTHER")),
        response({"finishReason": "STOP"}),
    ],
)
def test_an_answer_with_nothing_in_it_is_a_failure(answer):
    with pytest.raises(UpstreamFailure, match="answer is empty") as caught:
        whole(answer)
    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"])
def test_an_empty_answer_with_a_reason_is_an_answer(reason):
    _, facts = whole(response({"finishReason": reason}))
    assert (facts.finish_reason, facts.has_content, facts.is_complete) == (reason, False, True)


def test_a_blocked_prompt_is_an_answer():
    _, facts = whole({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "responseId": "r1"})
    assert (facts.finish_reason, facts.is_complete) == ("PROHIBITED_CONTENT", True)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"])
def test_a_broken_answer_is_a_failure_whole_or_not(reason):
    answer = response(candidate({"text": "I call"}, reason=reason) | {"finishMessage": "call:now("})
    with pytest.raises(UpstreamFailure, match=rf"broke off with {reason}: call:now\("):
        whole(answer)
    with pytest.raises(UpstreamFailure, match=reason):
        read_all(answer)


@pytest.mark.parametrize(
    ("content_type", "content", "message"),
    [
        ("text/html", b"<html>", "content type 'text/html'; expected application/json"),
        (JSON, b"<html>", r"answer is not valid JSON \(6 bytes\)"),
        (JSON, b"", r"answer is not valid JSON \(0 bytes\)"),
        (JSON, b"[]", r"answer is not valid JSON \(0 bytes\)"),
        (JSON, b"3", "JSON of type int; expected an object"),
    ],
)
def test_what_is_no_answer_is_malformed(content_type, content, message):
    with pytest.raises(UpstreamFailure, match=message) as caught:
        GeminiFormat().read_answer(content_type, content)
    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_inside_a_success_is_of_its_own_kind(wrap):
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(UpstreamFailure, match="overloaded") as caught:
        whole(wrap(error))
    assert (caught.value.kind, caught.value.status) == (FailureKind.SERVER, 503)


def test_a_stream_is_complete_when_it_said_why_it_ended():
    first = response(candidate({"text": "he"}), usageMetadata={"promptTokenCount": 4, "totalTokenCount": 4})
    last = response(candidate({"text": "y"}, reason="STOP"), usageMetadata={"candidatesTokenCount": 2})
    begun = read_all(first)
    assert (begun.has_content, begun.is_complete, begun.finish_reason) == (True, False, None)
    ended = read_all(first, last)
    assert (ended.is_complete, ended.finish_reason, ended.usage) == (True, "STOP", Usage(4, 2))


def test_every_candidate_must_have_ended():
    one, two = candidate({"text": "a"}, reason="STOP"), candidate({"text": "b"}, index=1)
    assert not read_all(response(one, two)).is_complete
    assert read_all(response(one, two), response(candidate(index=1, reason="MAX_TOKENS"))).is_complete


def test_an_empty_stream_has_no_finish_reason():
    """What `AnswerStream.end` takes for a failure: no content, and no reason that explains it."""
    facts = read_all(response(candidate({"text": ""}, reason="STOP")))
    assert (facts.has_content, facts.finish_reason, facts.is_complete) == (False, None, True)


@pytest.mark.parametrize(
    ("part", "counts"),
    [
        ({"text": ""}, False),
        ({"text": "", "thoughtSignature": "c2ln"}, False),
        ({"thought": True, "text": ""}, False),
        ({"thought": True, "text": "hm"}, True),
        ({"functionCall": {"name": "now"}}, True),
        ({"inlineData": {"mimeType": "image/png", "data": "aa"}}, True),
    ],
)
def test_content_is_more_than_a_signature(part, counts):
    assert read_all(response(candidate(part))).has_content is counts


def test_done_says_nothing():
    assert GeminiReader().read(Event(b"[DONE]")) is None


@pytest.mark.parametrize("event", [b"", b"null", b"{}"])
def test_an_event_of_nothing_says_nothing(event):
    assert GeminiReader().read(Event(event)) is None


@pytest.mark.parametrize("event", [b"{", b"3"])
def test_a_malformed_event_is_a_failure(event):
    with pytest.raises(UpstreamFailure, match="JSON"):
        GeminiReader().read(Event(event))


@pytest.mark.parametrize(
    "odd",
    [
        {"candidates": 3},
        {"candidates": [3, {"index": "x", "content": 3}, {"content": {"parts": {"text": 1}}, "finishReason": []}]},
        {"usageMetadata": 3, "promptFeedback": 3},
        {"usageMetadata": {"promptTokenCount": "many", "thoughtsTokenCount": -1}},
    ],
)
def test_odd_fields_are_no_crash(odd):
    assert not read_all(odd).has_content


def test_reasons_of_a_stream_that_goes_on_after_them_wait_for_its_end():
    """Some models, and relays before them, say STOP with every event: a pause must not end the answer."""
    reader = GeminiReader()
    for one in ("Hel", "lo"):
        reader.read(Event(orjson.dumps(response(candidate({"text": one}, reason="STOP")))))
    assert not reader.facts.is_complete
    assert reader.end() == []
    assert (reader.facts.is_complete, reader.facts.finish_reason) == (True, "STOP")


@pytest.mark.parametrize(
    ("parts", "ends"),
    [
        ([{"text": "Let me"}], False),
        ([{"text": "Let me"}, {"functionCall": {"name": "f", "args": {}}}], True),
        ([{"functionCall": {"name": "f", "args": {}}}, {"text": "and"}], False),
    ],
)
def test_a_stream_without_a_reason_is_cut_unless_it_ends_with_a_call(parts, ends):
    reader = GeminiReader()
    for part in parts:
        reader.read(Event(orjson.dumps(response(candidate(part)))))
    assert not reader.facts.is_complete
    assert len(reader.end()) == ends == reader.facts.is_complete
