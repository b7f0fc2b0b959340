import asyncio
import gc
import math

import pytest
from scripted_provider import END, PING, Says, World, broken, sse, status, stream, text, whole
from virtual_time import run

from router_model.serving.common.service_errors import UpstreamError
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.health import HealthRules
from router_model.serving.providers.provider import Deadlines

pytestmark = pytest.mark.virtual_time

GOOD = stream(text("a"), 1.0, text("b"), END)
ALL = b"data: a\n\ndata: b\n\ndata: END\n\n"


def read(world, **fields):
    sent = run(world.read(**fields))
    world.assert_clean()
    return sent


async def test_a_stream_is_whole_and_its_attempt_ends_with_it():
    world = World({"a:m": [stream(2.0, text("a"), 1.0, text("b"), END)]})
    reply = await world.forward(streams=True)
    assert (reply.n_attempts, reply.attempts, reply.facts.has_content) == (1, [], True)
    sent = [piece async for piece in reply.stream]
    assert reply.attempts == world.records
    assert sent == [b"data: a\n\n", b"data: b\n\ndata: END\n\n"]
    world.assert_clean()
    (record,) = world.records
    assert (record.first_token_s, record.latency_s, record.output_tokens, record.error_type) == (2.0, 3.0, 2, None)


@pytest.mark.parametrize(
    "fault",
    [
        stream(sse({"error": "server"})),
        stream(broken()),
        stream(),
        stream(PING),
        stream(text("lost") + sse({"error": "rate_limited"})),
        status(500),
        Says([b"<html>"], headers={"content-type": "text/html"}),
        stream(b"data: {\n\n"),
        stream(sse({"done": None})),
    ],
    ids=["error", "reset", "empty", "ping", "error in the first piece", "500", "html", "no json", "nothing"],
)
def test_before_the_first_token_a_failure_is_silent(fault):
    world = World({"a:m": [fault], "b:m": [GOOD]})
    assert read(world) == ALL
    assert world.outcomes[-1] is None
    assert len(world.sent) in {2, 3}


def test_the_first_token_has_a_deadline_that_pings_do_not_move():
    """Pings every 10 s and no token: a is left at 25 s, for b."""
    pinging = stream(*[PING, 10.0] * 20)
    world = World({"a:m": [pinging], "b:m": [GOOD]}, deadlines=Deadlines(first_token_s=25.0))
    assert read(world) == ALL
    assert world.times == [0.0, 25.0]


def test_all_failed_before_the_first_token_is_an_error():
    world = World({"a:m": [stream(30.0)]}, deadlines=Deadlines(first_token_s=10.0))
    with pytest.raises(UpstreamError, match="no first token within 10 s") as caught:
        run(world.forward(streams=True))
    assert caught.value.status == 504


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ([sse({"error": "server"})], "server"),
        ([broken()], "connection"),
        ([], "truncated"),
        ([b"data: {\n\n"], "malformed"),
        ([500.0], "timeout"),
        ([*[20.0, PING] * 20], "timeout"),
    ],
    ids=["error", "reset", "cut", "no json", "silence", "pings only"],
)
def test_after_the_first_token_a_failure_is_a_clean_end(rest, kind):
    world = World({"a:m": [stream(sse({"usage": [7, 0]}) + text("a"), *rest)], "b:m": [GOOD]})
    sent = read(world).replace(b": keep-alive\n\n", b"")
    assert sent == f"data: a\n\ndata: FAIL {kind}\n\n".encode()
    assert (world.outcomes, world.records[0].input_tokens) == ([kind], 7)
    assert world.records[0].latency_s in {0.0, 60.0}


def test_the_total_deadline_cuts_a_stream():
    """A token every 10 s, for ever: cut at 45 s."""
    world = World({"a:m": [stream(*[text("x"), 10.0] * 100)]})
    assert read(world, total_s=45.0) == b"data: x\n\n" * 5 + b"data: FAIL timeout\n\n"
    assert world.records[0].latency_s == 45.0


@pytest.mark.parametrize("tail", [[], [broken()], [1000.0]], ids=["no end", "reset", "silence"])
def test_a_stream_that_is_complete_needs_no_clean_end(tail):
    """The usage is waited for, for 5 s at most."""
    world = World({"a:m": [stream(text("a"), text("b"), END, *tail)]})
    assert read(world) == ALL
    assert (world.outcomes, world.records[0].latency_s <= 5.0) == ([None], True)


def test_a_silent_stream_gets_comments():
    """40 s of silence: comments at 15 and 30 s."""
    world = World({"a:m": [stream(text("a"), 40.0, text("b"), END)]})
    comment = b": keep-alive\n\n"
    assert read(world) == b"data: a\n\n" + comment * 2 + b"data: b\n\ndata: END\n\n"


def test_a_buffered_stream_that_is_cut_is_tried_again():
    world = World({"a:m": [stream(text("lost"), 2.0, broken())], "b:m": [GOOD]})
    assert read(world, buffer=True) == ALL
    assert world.outcomes == ["connection", "connection", None]


def test_a_buffered_stream_has_the_same_deadlines():
    """Silent after its first token: 30 s, as b can be asked; then b."""
    world = World({"a:m": [stream(text("lost"), 1000.0)], "b:m": [GOOD]})
    assert read(world, buffer=True) == ALL
    assert world.times == [0.0, 30.0]


def test_a_buffered_stream_is_bounded():
    world = World({"a:m": [stream(text("a"), *[text("b" * 90)] * 9)]}, rules=Rules(max_answer_bytes=500))
    with pytest.raises(UpstreamError, match="longer than 500 bytes"):
        run(world.forward(streams=True, buffer=True))
    world.assert_clean()


async def test_a_buffered_stream_can_be_closed_and_left():
    world = World({"a:m": [GOOD]})
    reply = await world.forward(streams=True, buffer=True)
    assert (reply.n_attempts, len(reply.attempts)) == (1, 1)
    await reply.stream.aclose()
    assert [piece async for piece in reply.stream] == []


async def test_the_first_token_closes_a_breaker_that_probes(caplog):
    """The probe's stream takes 100 s; others get through once its first token is here."""
    slow = stream(text("a"), 50.0, text("b"), END)
    world = World({"a:m": [status(500), slow, GOOD]}, rules=Rules(health=HealthRules(in_a_row=1)))
    with pytest.raises(UpstreamError, match="status 500"):
        await world.forward(streams=True)
    await asyncio.sleep(5.0)
    reply = await world.forward(streams=True)
    assert await world.read() == ALL
    await reply.stream.aclose()
    assert world.outcomes == ["server", None, "client_gone"]
    said = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
    assert said == ["a:m is paused for 5 s: it fails again and again", "a:m works again"]


@pytest.mark.parametrize("n_read", [0, 1, 2])
async def test_closing_a_stream_ends_the_call_at_once(n_read):
    world = World({"a:m": [stream(sse({"usage": [7, 0]}) + text("a"), text("b"), 100.0, END)]})
    reply = await world.forward(streams=True)
    for _ in range(n_read):
        await anext(reply.stream)
    await reply.stream.aclose()
    world.assert_clean()
    await reply.stream.aclose()
    assert [piece async for piece in reply.stream] == []
    (record,) = world.records
    assert (record.error_type, record.status, record.input_tokens) == ("client_gone", 200, 7)


async def test_what_an_abandoned_stream_wrote_is_counted_where_the_provider_has_not_yet():
    """Anthropic counts the output at the end: before it, 41 bytes are 11 tokens."""
    world = World({"a:m": [stream(sse({"usage": [7, 1]}) + text("a"), 100.0, END)]})
    reply = await world.forward(streams=True)
    reply.facts.n_bytes_written = 41
    await reply.stream.aclose()
    assert (world.records[0].input_tokens, world.records[0].output_tokens) == (7, 11)


async def test_a_stream_that_was_left_before_anything_was_counted_is_estimated():
    """41 bytes are 11 tokens; what was read is a token every four bytes of the request, an image in it not counted."""
    world = World({"a:m": [stream(text("a"), 100.0, END)]})
    reply = await world.forward(streams=True)
    reply.facts.n_bytes_written = 41
    await reply.stream.aclose()
    record, n_read = world.records[0], math.ceil(len(world.contents[0]) / 4)
    assert (record.input_tokens, record.output_tokens) == (n_read, 11)
    assert record.usage_estimated == "input_missing, output_cut"


async def test_cancelling_who_reads_ends_the_call_at_once():
    world = World({"a:m": [stream(text("a"), 100.0, END)]})
    task = asyncio.create_task(world.read())
    await asyncio.sleep(3.0)
    task.cancel()
    await asyncio.wait({task})
    world.assert_clean()
    assert (world.outcomes, world.records[0].latency_s) == (["client_gone"], 3.0)


@pytest.mark.parametrize("says", [whole(delay=9.0), stream(9.0)], ids=["before the headers", "before the first token"])
async def test_cancelling_before_the_first_token_ends_the_call_at_once(says):
    world = World({"a:m": [says]})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.forward(streams=True), 1.0)
    world.assert_clean()
    assert world.outcomes == ["client_gone"]


async def test_a_stream_that_is_forgotten_is_closed():
    world = World({"a:m": [stream(text("a"), 100.0, END)]})
    reply = await world.forward(streams=True)
    await anext(reply.stream)
    del reply
    gc.collect()
    await asyncio.sleep(0.1)
    world.assert_clean()
    assert world.outcomes == ["client_gone"]


async def test_a_caller_that_does_not_read_holds_the_provider_back():
    """300 pieces of 1 kB and room for 10 kB: at most 11 are read ahead; the call's time ends it all the same."""
    pieces = [text("x" * 1000)] * 300
    taken = []

    def counted():
        for piece in pieces:
            taken.append(piece)
            yield piece

    world = World({"a:m": [Says(counted())]}, rules=Rules(max_ahead_bytes=10_000))
    reply = await world.forward(streams=True, total_s=50.0)
    await asyncio.sleep(40.0)
    assert len(taken) <= 11
    await anext(reply.stream)
    await asyncio.sleep(20.0)
    world.assert_clean()
    rest = b"".join([piece async for piece in reply.stream])
    assert rest.endswith(b"data: FAIL timeout\n\n")


async def test_a_slow_reader_gets_everything():
    """Waiting for the reader is no silence of the provider's: 300 pieces, a minute and a half for each ten."""
    says = stream(*[text("x" * 1000)] * 300, END)
    patient = Deadlines(total_s=10_000.0)
    world = World({"a:m": [says]}, rules=Rules(max_ahead_bytes=10_000), deadlines=patient)
    reply = await world.forward(streams=True, total_s=10_000.0)
    sent = b""
    async for piece in reply.stream:
        sent += piece
        await asyncio.sleep(90.0)
    assert (sent.count(b"data: x"), sent[-11:]) == (300, b"data: END\n\n")


async def test_a_thousand_abandoned_streams_leave_nothing_open():
    """Left before the headers, before the first token, at the first token, in the middle, by closing or cancelling."""
    says = [stream(0.2, text("a"), 0.2, text("b"), *[0.2, text("c")] * 20, END, before=[0.1])]
    world = World({"a:m": says})

    async def leave(i):
        if i % 2:
            task = asyncio.create_task(world.read())
            await asyncio.sleep(0.01 * (i % 100))
            task.cancel()
            await asyncio.wait({task})
        else:
            reply = await world.forward(streams=True)
            for _ in range(i % 5):
                await anext(reply.stream)
            await reply.stream.aclose()

    await asyncio.gather(*(leave(i) for i in range(1000)))
    world.assert_clean()
    assert (len(world.records), set(world.outcomes)) == (1000, {"client_gone"})
