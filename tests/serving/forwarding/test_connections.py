import asyncio

import pytest
from scripted_provider import World, stream, text, whole

from router_model.serving.common.service_errors import UpstreamError

pytestmark = pytest.mark.virtual_time


async def held(world, n, caller):
    """Return streams under way that nobody reads."""
    return [await world.forward(streams=True, key_id=caller) for _ in range(n)]


async def left(replies):
    for reply in replies:
        await reply.stream.aclose()


ENDLESS = stream(text("a"), 9999.0)


async def test_a_caller_that_holds_all_it_can_leaves_connections_for_others():
    """Of 8 connections the hostile one gets 6; its seventh call waits for 5 s in vain, the healthy one's does not."""
    world = World({"a:m": [*[ENDLESS] * 6, whole()]}, max_connections=8)
    loop = asyncio.get_running_loop()
    hostile = await held(world, 6, "hostile")
    began = loop.time()
    assert (await world.forward(key_id="healthy")).body["text"] == "hi"
    assert loop.time() == began
    with pytest.raises(
        UpstreamError, match=r"no connection was free within 5 s \(there are at most 8, and 6 for one"
    ) as caught:
        await world.forward(key_id="hostile")
    assert (caught.value.status, caught.value.code, loop.time() - began) == (429, "too_many_calls", 5.0)
    await left(hostile)
    assert not any(health.is_open for _, health in world.forwarder.health.items())


async def test_a_call_gets_the_connection_that_another_gives_back():
    world = World({"a:m": [ENDLESS, whole()]}, max_connections=1)
    first = await held(world, 1, "ann")
    waiting = asyncio.create_task(world.forward(key_id="bob"))
    await asyncio.sleep(2.0)
    await left(first)
    assert (await waiting).body["text"] == "hi"
    assert world.times == [0.0, 2.0]


async def test_without_a_connection_the_next_provider_is_asked():
    world = World({"a:m": [ENDLESS], "b:m": [whole("from b")]}, max_connections=1)
    first = await held(world, 1, "ann")
    assert (await world.forward(key_id="ann")).body["text"] == "from b"
    await left(first)


async def test_connections_come_back_however_a_call_ends():
    """200 callers leave before an answer, or while they wait for a connection; then there is one again."""
    world = World({"a:m": [*[whole(delay=60.0)] * 2, whole()]}, max_connections=2)
    tasks = [asyncio.create_task(world.forward(key_id=f"caller {n}")) for n in range(200)]
    await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for n in range(3):
        assert (await world.forward(key_id=f"caller {n}")).body["text"] == "hi"
