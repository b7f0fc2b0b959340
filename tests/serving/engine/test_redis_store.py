"""Against a real redis-server, started on a free port and killed in the middle."""

import asyncio
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_world import SUM
from waiting import until

from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import session_key
from router_model.serving.engine.sessions.memory import SessionMemory
from router_model.serving.engine.sessions.redis_store import RedisStore, dump_session, parse_session
from router_model.serving.engine.sessions.sessions import Sessions

NOW = 1_790_000_000.0
RECORD = SessionRecord("k", "openai/gpt-5", datetime.fromtimestamp(NOW, UTC), 123)
TURNS = [
    {"role": "user", "content": SUM},
    {"role": "assistant", "content": "64"},
    {"role": "user", "content": "and now by 3"},
]


@contextmanager
def redis_server(port, folder):
    """Run a server; it is ended by its own process id."""
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield server
    finally:
        server.kill()
        server.wait(10)


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            subprocess.run(["sleep", "0.05"], check=True)
        else:
            return
    pytest.fail("redis-server did not start")


@pytest.fixture
def port():
    pytest.importorskip("redis", reason="needs the extra 'redis'")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt-get install redis-server)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def sessions_of(port):
    store = RedisStore(f"redis://127.0.0.1:{port}/0", ttl_s=60.0)
    memory = SessionMemory(max_sessions=100, ttl_s=1e9)
    return store, Sessions(memory, store, clock=lambda: NOW, patience_s=5.0)


async def test_workers_share_sessions(port, tmp_path):
    with redis_server(port, tmp_path):
        (store, one), (_, other) = sessions_of(port), sessions_of(port)
        await one.start()
        await other.start()

        async def found():
            one.remember(RECORD)  # again, as a write that a busy Redis does not take is dropped
            other._misses.clear()
            return await other.find("k") == RECORD

        await until(found)
        assert 0 < await store._redis.ttl("router:session:k") <= 60

        async def recognised():
            one.recognise("answer", "k")
            other._misses.clear()
            return await other.session_of(["of nobody", "answer"]) == "k"

        await until(recognised)
        await one.close()
        await other.close()


async def test_a_corrupt_value_is_ignored_counted_and_overwritten(port, tmp_path):
    with redis_server(port, tmp_path):
        store, sessions = sessions_of(port)
        await sessions.start()
        await store._redis.set("router:session:k", b"\x80\x04pickle")
        assert await sessions.find("k") is None
        assert sessions.counts["store_corrupt"] == 1
        assert sessions.counts["store_failures"] == 0
        sessions.remember(RECORD)

        async def overwritten():
            return await store._redis.get("router:session:k") == dump_session(RECORD)

        await until(overwritten)
        await sessions.close()


async def test_what_waits_is_written_on_closing(port, tmp_path):
    with redis_server(port, tmp_path):
        store, sessions = sessions_of(port)
        await sessions.start()
        for i in range(500):
            sessions.remember(replace(RECORD, session_key=f"k{i}"))
        await sessions.close()
        fresh = RedisStore(f"redis://127.0.0.1:{port}/0", ttl_s=60.0)
        assert await fresh._redis.dbsize() == 500
        await fresh.close()
        assert store.counts == {"store_corrupt": 0, "store_dropped": 0}


async def test_decisions_go_on_when_redis_is_killed_and_comes_back(bench, query, port, tmp_path):
    url = f"redis://127.0.0.1:{port}/0"
    async with bench(session_store=url) as one, bench(session_store=url) as other:
        with redis_server(port, tmp_path) as server:
            await one.engine.decide(query(TURNS[:1], target_success=0.6))

            async def is_written():
                return await one.engine.conversations.sessions._store._redis.dbsize() == 1

            await until(is_written)
            found = await other.engine.decide(query(TURNS, target_success=0.6))
            assert found.reason == "session"
            server.kill()
            server.wait(10)
            for i in range(20):
                for b in (one, other):
                    b.clock.now += 1
                    routed = await b.engine.decide(query(TURNS, session_id=f"s{i}", target_success=0.6))
                    assert not routed.degraded
        counts = other.engine.status["sessions"]
        assert counts["store_failures"] + counts["store_timeouts"] > 0
        with redis_server(port, tmp_path):

            async def shared():
                for b in (one, other):
                    b.clock.now += 10
                await one.engine.decide(query(TURNS[:1], session_id="back", target_success=0.6))
                await asyncio.sleep(0.05)
                key = session_key(query(TURNS).key_id, "back")
                return await other.engine.conversations.sessions._store.read(key) is not None

            await until(shared)


@given(st.text(max_size=20), st.floats(0, 1e10), st.integers(0, 2**39))
def test_what_is_written_is_read(model, at, n):
    one = SessionRecord("k", model, datetime.fromtimestamp(at, UTC), n)
    assert parse_session("k", dump_session(one)) == one


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_other_value_is_no_session(value):
    assert parse_session("k", value) is None


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b"[]",
        b"{}",
        b"[" * 4000,
        b" " * 5000,
        b'{"v": 2, "model": "m", "updated_at": 0, "n_input_tokens": 1}',
        b'{"v": 1, "model": 3, "updated_at": 0, "n_input_tokens": 1}',
        b'{"v": 1, "model": "m", "updated_at": NaN, "n_input_tokens": 1}',
        b'{"v": 1, "model": "m", "updated_at": 1e300, "n_input_tokens": 1}',
        b'{"v": 1, "model": "m", "updated_at": -1, "n_input_tokens": 1}',
        b'{"v": 1, "model": "m", "updated_at": "0", "n_input_tokens": 1}',
        b'{"v": 1, "model": "m", "updated_at": 0, "n_input_tokens": 1.5}',
        b'{"v": 1, "model": "m", "updated_at": 0, "n_input_tokens": -1}',
        b'{"v": 1, "model": "m", "updated_at": 0, "n_input_tokens": true}',
        b'{"v": 1, "model": "m", "updated_at": 0}',
    ],
)
def test_values_that_are_not_ours_are_no_sessions(value):
    assert parse_session("k", value) is None


async def test_waiting_sessions_are_bounded():
    store = RedisStore("redis://127.0.0.1:1/0", ttl_s=60.0)
    for i in range(10_050):
        store.write(replace(RECORD, session_key=f"k{i}"))
    assert store.counts["store_dropped"] == 50
    await store.close()
