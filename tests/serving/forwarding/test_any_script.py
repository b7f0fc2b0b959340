"""Whatever providers do, a call ends in time, in few attempts, with a record of each and nothing left open."""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from scripted_provider import END, PING, Says, World, broken, refused, sse, status, stream, text, whole
from virtual_time import run

from router_model.serving.common.service_errors import ServiceError
from router_model.serving.providers.provider import Deadlines

TOTAL_S = 100.0
DEADLINES = Deadlines(first_token_s=20.0, idle_s=15.0, total_s=60.0)
HTML = Says([b"<html>"], headers={"content-type": "text/html"})

silences = st.sampled_from([0.0, 0.1, 3.0, 16.0, 25.0, 1000.0])
pieces = st.lists(
    st.one_of(
        silences,
        st.sampled_from([text("a"), text("b"), PING, END, b"data: {\n\n", sse({"error": "server"})]),
        st.builds(broken),
    ),
    max_size=6,
)
answers = st.one_of(
    st.builds(lambda pieces, before: stream(*pieces, before=[before]), pieces, silences),
    st.builds(lambda pieces, close: stream(*pieces, END, close=[close]), pieces, silences),
    st.builds(whole, delay=silences),
    st.builds(status, st.sampled_from([400, 401, 404, 413, 429, 500, 503]), retry_after=st.none() | silences),
    st.builds(refused),
    st.just(HTML),
)
scripts = st.lists(st.lists(answers, min_size=1, max_size=4), min_size=1, max_size=4)


async def outcome(world, order, leave_after, close_after):
    """Return what the caller got, closing a stream after so many pieces."""
    try:
        async with asyncio.timeout(leave_after):
            reply = await world.forwarder.forward(order)
            if reply.stream is None:
                return reply.body
            sent = []
            async for piece in reply.stream:
                sent.append(piece)
                if len(sent) == close_after:
                    await reply.stream.aclose()
            return b"".join(sent)
    except ServiceError as error:
        return error
    except TimeoutError:
        return None


@given(
    scripts,
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 2),
    st.tuples(st.none() | st.floats(0.01, 120), st.none() | st.integers(1, 3)),
    st.integers(0, 3),
)
def test_any_script_ends_well(script, kind, n_keys, leaving, seed):
    (streams, buffer), (leave_after, close_after) = kind, leaving
    names = [f"p{i}:m" for i in range(len(script))]
    keys = {name.partition(":")[0]: [f"k{i}" for i in range(n_keys)] for name in names}
    given = dict(zip(names, script, strict=True))
    world = World(given, keys=keys, rng=Random(seed), deadlines=DEADLINES)

    async def main():
        loop = asyncio.get_running_loop()
        order = world.order(streams=streams, buffer=buffer, total_s=TOTAL_S)
        got = await outcome(world, order, leave_after, close_after)
        took_s = loop.time() - 1000.0
        await asyncio.sleep(3.0)  # for a stream that was left at its very end
        return got, took_s

    got, took_s = run(main())
    world.assert_clean()
    assert len(world.sent) <= 6
    assert took_s <= min(TOTAL_S + 6 * 2.0, (leave_after or TOTAL_S) + 6 * 2.0 + 5.0)  # closing may take 2 s each
    assert len({record.attempt_id for record in world.records}) == len(world.records)
    if isinstance(got, bytes) and streams and close_after is None:
        assert got.count(b"END") + got.count(b"FAIL") == 1
        assert (world.outcomes[-1] is None) == (b"END" in got)
        assert not (buffer and b"FAIL" in got)
    if isinstance(got, ServiceError):
        assert got.status in {400, 404, 413, 429, 502, 503, 504}
    if isinstance(got, dict):
        assert world.outcomes[-1] is None
