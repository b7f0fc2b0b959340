"""What callers leave behind is bounded: streams they abandon, model names they make up, sessions they open."""

import asyncio
import gc
from datetime import UTC, datetime

import pytest
from raw_server import raw_server
from scripted_provider import END, World, stream, text

from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import session_key
from router_model.serving.engine.sessions.memory import SessionMemory
from router_model.serving.formats.spellings import _remembered, snake
from router_model.serving.forwarding.streams import LiveStream
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.transport import AiohttpTransport, _Line

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
N = 50


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(issubclass(type(one), kinds) for one in gc.get_objects())  # isinstance would ask modules for attributes


async def test_abandoned_responses_leave_nothing_of_their_connections():
    """Each held its transport, protocol and buffers: 210 KB, for good."""
    from aiohttp.client_proto import ResponseHandler

    async def endless(connection):
        await connection.request()
        await connection.say(HEAD + b"5\r\nhello\r\n")
        await asyncio.sleep(60)

    transport = AiohttpTransport()
    before = alive(_Line, ResponseHandler)
    async with asyncio.timeout(30), raw_server(endless) as server:
        for _ in range(N):
            response = await transport.send(HttpRequest(f"{server.url}/v1/chat", {}, b"{}"))
            assert await anext(response.chunks()) == b"hello"
            await response.close()
        await asyncio.sleep(0.05)
        del response
        assert alive(_Line, ResponseHandler) - before <= 2
        await transport.close()


@pytest.mark.virtual_time
@pytest.mark.parametrize("reads", [0, 1])
async def test_abandoned_streams_leave_nothing(reads):
    world = World({"a:m": [stream(text("a"), 9999.0, END)]})
    before = alive(LiveStream)
    for _ in range(N):
        reply = await world.forward(streams=True)
        for _ in range(reads):
            await anext(reply.stream)
        await reply.stream.aclose()
    del reply
    assert alive(LiveStream) == before
    assert len(asyncio.all_tasks()) == 1
    world.assert_clean()


def test_names_that_are_made_up_are_remembered_up_to_a_bound():
    throttle = LogThrottle(clock=lambda: 0.0)
    for number in range(20_000):
        throttle.due(f"provider:made up {number}")
        snake(f"madeUp{number}")
    assert len(throttle._last) <= 1000
    assert _remembered.cache_info().currsize <= 4096
    snake("x" * 1_000_000)
    assert _remembered.cache_info().currsize <= 4096


@pytest.mark.virtual_time
async def test_made_up_models_under_a_star_leave_bounded_health_and_times():
    world = World({f"a:made-up-{number}": [stream(text("a"), END)] for number in range(3000)})
    for target in world.targets:
        reply = await world.forward(streams=True, targets=[target])
        async for _ in reply.stream:
            pass
    assert len(world.forwarder.health) <= 1000
    assert len(world.forwarder._patience._seen) <= 1000


def test_sessions_of_one_key_never_drive_out_anothers_few():
    memory, now = SessionMemory(max_sessions=1000, ttl_s=3600.0), datetime.now(UTC)
    few = [SessionRecord(session_key("victim", str(number)), "m", now, 1) for number in range(400)]
    for record in few:
        memory.put(record)
    for number in range(5000):
        memory.put(SessionRecord(session_key("hostile", str(number)), "m", now, 1))
    assert len(memory) == 1000
    assert all(memory.get(record.session_key, now=now.timestamp()) for record in few)
