"""Whole answers that are asked for as streams: the same answer, and left early where a provider stalls."""

import asyncio
from dataclasses import replace

import pytest
from scripted_provider import END, Says, World, broken, sse, status, stream, text, whole
from virtual_time import run

from router_model.serving.common.service_errors import UpstreamError
from router_model.serving.forwarding.rules import Rules
from router_model.serving.forwarding.whole_answers import refuses_stream
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Deadlines

pytestmark = pytest.mark.virtual_time

GOOD = stream(text("a"), 1.0, text("b"), END)


def forwarded(world, **fields):
    reply = run(world.forward(**fields))
    world.assert_clean()
    return reply


def plainly(world):
    """Let the providers of a world be asked for whole answers as such."""
    world.targets = [replace(one, provider=replace(one.provider, stream_whole_answers=False)) for one in world.targets]
    return world


def test_a_stream_becomes_the_whole_answer():
    world = World({"a:m": [GOOD]})
    reply = forwarded(world, extras=lambda attempts: {"n": len(attempts)})
    assert reply.body == {"text": "ab", "model": "m", "cost": None, "n": 1}
    assert (reply.stream, reply.n_attempts, reply.facts.usage.output_tokens) == (None, 1, 2)
    (record,) = world.records
    assert (record.first_token_s, record.latency_s, record.output_tokens, record.error_type) == (0.0, 1.0, 2, None)


@pytest.mark.parametrize(
    "fault",
    [
        stream(1000.0),
        stream(text("lost"), 1000.0),
        stream(text("lost"), broken()),
        stream(text("lost")),
        stream(text("lost") + sse({"error": "server"})),
        Says(before=[1000.0]),
        Says([b"{", 1000.0], headers={"content-type": "application/json"}),
    ],
    ids=["no token", "stalls", "breaks", "is cut", "fails", "no head", "stalls as a whole"],
)
@pytest.mark.parametrize("total_s", [600.0, 45.0])
def test_a_whole_answer_fails_over_wherever_its_stream_fails(fault, total_s):
    """After 30 s of silence, or half of the order's time; where it comes without pieces, only after that half."""
    world = World({"a:m": [fault], "b:m": [GOOD]})
    reply = forwarded(world, total_s=total_s)
    assert (reply.body["text"], reply.target.provider.name) == ("ab", "b")
    left_s = world.times[-1]
    print(f"failed over after {left_s:g} s of {total_s:g} s")
    assert left_s <= (total_s / 2 if total_s < 60 or "{" in str(fault.pieces) else 30.0)


def test_what_a_stream_had_used_when_it_failed_is_recorded():
    """7 tokens were read, as it said itself; the answer of b is whole."""
    world = World({"a:m": [stream(sse({"usage": [7, 1]}), text("lost"), broken())], "b:m": [GOOD]})
    assert forwarded(world).body["text"] == "ab"
    assert (world.records[0].error_type, world.records[0].input_tokens) == ("connection", 7)


def test_a_silent_candidate_alone_is_an_error_within_its_deadline():
    """60 s without another candidate, and once more 60 s x 1.5, as it may have become slower."""
    world = World({"a:m": [Says(before=[1000.0])]})
    with pytest.raises(UpstreamError, match="no first token within 60 s") as caught:
        run(world.forward())
    assert (caught.value.status, world.records[0].latency_s, world.records[1].latency_s) == (504, 60.0, 90.0)


def test_an_answer_of_pieces_is_bounded():
    world = World({"a:m": [stream(text("a"), *[text("b" * 90)] * 9, END)]}, rules=Rules(max_answer_bytes=500))
    with pytest.raises(UpstreamError, match="longer than 500 bytes"):
        run(world.forward())
    world.assert_clean()


REFUSALS = {
    "OpenAI, not verified": (400, b'{"message": "Your organization must be verified to stream this model."}'),
    "a strict schema": (422, b'{"message": "stream_options: extra inputs are not permitted"}'),
    "not implemented": (501, b"{}"),
    "no such method": (405, b"{}"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_stream_that_is_refused_is_asked_for_as_a_whole_and_that_is_remembered(refusal):
    """The second call asks at once for the whole; after an hour the stream is tried again."""
    code, body = refusal
    world = World({"a:m": [status(code, body=body), whole("1"), whole("2"), GOOD]})
    texts = [(await world.forward()).body["text"] for _ in range(2)]
    await asyncio.sleep(3600.0)
    assert [*texts, (await world.forward()).body["text"]] == ["1", "2", "ab"]
    assert world.streamed == [True, False, False, True]


@pytest.mark.parametrize(
    "first",
    [whole("1"), stream(text("1"), sse({"done": "stop"}))],
    ids=["a whole answer came all the same", "it says no usage"],
)
async def test_who_is_better_asked_for_a_whole_answer_is_asked_for_one(first):
    world = World({"a:m": [first, whole("2")]})
    assert [(await world.forward()).body["text"] for _ in range(2)] == ["1", "2"]
    assert world.streamed == [True, False]


def test_a_provider_can_be_asked_for_whole_answers_only():
    world = plainly(World({"a:m": [whole("hi", delay=100.0)]}, deadlines=Deadlines(first_token_s=5.0)))
    assert forwarded(world).body["text"] == "hi"
    assert world.streamed == [False]


@pytest.mark.parametrize(
    ("asked", "is_streamed"),
    [
        ({"max_tokens": 128}, False),
        ({"max_completion_tokens": 10, "reasoning_effort": "none"}, False),
        ({"max_tokens": 129}, True),
        ({"max_tokens": 64, "n": 3}, True),
        ({"max_tokens": 64, "reasoning_effort": "low"}, True),
        ({}, True),
    ],
)
def test_a_short_answer_is_asked_for_as_a_whole(asked, is_streamed):
    world = World({"a:m": [GOOD if is_streamed else whole("ab")]})
    assert forwarded(world, body={"messages": [], **asked}).body["text"] == "ab"
    assert world.streamed == [is_streamed]


def test_a_deadline_to_the_first_token_is_kept_of_a_short_answer_too():
    world = World({"a:m": [GOOD]}, deadlines=Deadlines(first_token_s=5.0))
    assert forwarded(world, body={"messages": [], "max_tokens": 10}).body["text"] == "ab"
    assert world.streamed == [True]


async def test_a_short_answer_that_does_not_come_is_left_nearly_as_early_as_a_stream():
    """After 37 s, while another candidate is there; ten calls of 1 s make that 12 s at least."""
    short = {"messages": [], "max_tokens": 10}
    world = World(
        {"a:m": [whole(delay=1000.0), *[whole(delay=1.0)] * 10, whole(delay=1000.0)], "b:m": [whole("b")] * 2}
    )
    assert [(await world.forward(body=short)).body["text"] for _ in range(12)][-1] == "b"
    failed = [record.latency_s for record in world.records if record.error_type]
    assert (failed[0], len(failed)) == (37.0, 2)
    assert failed[1] == pytest.approx(12.0 * 1.5, rel=0.05)  # half as long again after the first that did not come


def test_who_never_streams_is_waited_for_as_before_also_for_a_short_answer():
    world = plainly(World({"a:m": [whole("a", delay=100.0)], "b:m": []}))
    assert forwarded(world, body={"messages": [], "max_tokens": 10}).body["text"] == "a"


def test_a_plain_answer_is_waited_for_by_half_of_the_time_while_there_are_others():
    world = plainly(World({"a:m": [whole(delay=1000.0)], "b:m": [whole("b", delay=200.0)]}))
    assert forwarded(world, total_s=600.0).body["text"] == "b"
    assert world.times == [0.0, 300.0]


def test_plain_answers_are_not_read_as_streams():
    world = plainly(World({"a:m": [stream(text("hi"))]}))
    with pytest.raises(UpstreamError, match="expected JSON") as caught:
        run(world.forward())
    assert caught.value.metadata["error_type"] == "malformed"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (UpstreamFailure(FailureKind.BAD_REQUEST, "Unsupported value", status=400, param="stream"), True),
        (UpstreamFailure(FailureKind.MODEL_GONE, "no streamGenerateContent here", status=404), True),
        (UpstreamFailure(FailureKind.BAD_REQUEST, "max_tokens is too large", status=400), False),
        (UpstreamFailure(FailureKind.RATE_LIMITED, "too many streams", status=429), False),
        (UpstreamFailure(FailureKind.SERVER, "an error event in the stream"), False),
        (UpstreamFailure(FailureKind.SERVER, "no healthy upstream", status=503), False),
    ],
    ids=["param", "Google's path", "another reason", "a limit", "an error event", "a proxy's upstream"],
)
def test_refusals_are_told_from_failures(failure, expected):
    assert refuses_stream(failure) is expected
