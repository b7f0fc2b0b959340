"""What is the caller's doing, or ours, puts no model aside: not for the caller, and not for others."""

import asyncio

import pytest
from scripted_provider import END, World, stream, text, whole

from router_model.serving.common.service_errors import UpstreamError
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.provider import Deadlines

pytestmark = pytest.mark.virtual_time

SILENT = stream(9999.0)
SPEAKING = stream(*[text("a"), 4.0] * 500, END)
RULES = Rules(max_ahead_bytes=1000)
N = 30
"""Calls: six times what puts a model aside."""


def assert_innocent(world, outcome):
    assert set(world.outcomes) == {outcome}
    assert len(world.outcomes) >= N
    healths = [health for _, health in world.forwarder.health.items()]
    assert not any(health.is_open or health.is_suspected for health in healths)


@pytest.mark.parametrize("total_s", [0.5, 4.9, 20.0, 59.0])
@pytest.mark.parametrize("streams", [True, False])
async def test_a_short_time_of_the_callers_says_nothing_of_a_silent_model(total_s, streams):
    """The first token may take 60 s where nobody else can be asked."""
    world = World({"a:m": [SILENT]})
    for _ in range(N):
        with pytest.raises(UpstreamError, match="did not answer"):
            await world.forward(streams=streams, total_s=total_s)
    assert_innocent(world, "timeout")


@pytest.mark.parametrize("total_s", [7.0, 70.0, 300.0])
@pytest.mark.parametrize("streams", [True, False])
async def test_a_time_that_ends_while_the_model_speaks_says_nothing_of_it(total_s, streams):
    """Also where it is longer than a first token may take (60 s; 5 s once the model is known to be quick)."""
    world = World({"a:m": [SPEAKING], "b:m": [whole("from b")]})
    for _ in range(N):
        try:
            reply = await world.forward(streams=streams, total_s=total_s, targets=world.targets[:1])
        except UpstreamError:
            continue
        async for _ in reply.stream:
            pass
    assert_innocent(world, "timeout")


@pytest.mark.parametrize("reads", [0, 3])
async def test_a_caller_that_does_not_read_costs_a_connection_for_two_minutes_and_no_breaker(reads):
    flood = stream(*[text("x" * 500)] * 100, END)
    world = World({"a:m": [flood]}, rules=RULES)
    replies = [await world.forward(streams=True) for _ in range(N)]
    for reply in replies:
        for _ in range(reads):
            await anext(reply.stream)
            await asyncio.sleep(0.1)
    await asyncio.sleep(RULES.unread_s + 5.0)
    assert world.open == 0
    for reply in replies:
        rest = b"".join([piece async for piece in reply.stream])
        assert rest.endswith(b"data: FAIL timeout\n\n")
        assert len(rest) < 3000
    world.assert_clean()
    assert_innocent(world, "client_gone")


async def test_time_that_a_slow_reader_took_is_not_the_models():
    """The reader takes all it is given, late; the call's ten minutes are over before the stream is."""
    slow = stream(*[text("x" * 900)] * 400, END)
    world = World({"a:m": [slow]}, rules=RULES)

    async def read_slowly():
        reply = await world.forward(streams=True, total_s=600.0)
        async for _ in reply.stream:
            await asyncio.sleep(100.0)

    await asyncio.gather(*(read_slowly() for _ in range(N)))
    assert_innocent(world, "client_gone")


@pytest.mark.parametrize("total_s", [3.0, 600.0])
async def test_waiting_for_a_connection_of_ours_is_not_the_models_time(total_s):
    """Four of five connections are held for 4.5 s by others; who waits for so long still gets its whole first 5 s."""
    answer = stream(4.5, text("a"), END)
    world = World({"a:m": [answer]}, max_connections=4, deadlines=Deadlines(first_token_s=5.0))

    async def one():
        try:
            return await world.read(total_s=total_s, key_id=None)
        except UpstreamError as exc:
            return exc.code

    found = await asyncio.gather(*(one() for _ in range(12)))
    assert found.count(b"data: a\n\ndata: END\n\n") == (0 if total_s < 4.5 else 8)
    assert "upstream_timeout" not in found[4:] or total_s < 4.5
    assert not any(health.is_open or health.is_suspected for _, health in world.forwarder.health.items())


async def test_a_model_that_is_silent_for_its_own_time_is_put_aside_all_the_same():
    world = World({"a:m": [SILENT]}, deadlines=Deadlines(first_token_s=5.0))
    for caller in ("ann", "bob") * 3:
        with pytest.raises(UpstreamError, match="no first token within 5 s"):
            await world.forward(streams=True, key_id=caller)
    assert all(health.is_open for _, health in world.forwarder.health.items())
