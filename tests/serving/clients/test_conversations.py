"""Conversations over HTTP, with a router that decides, and clients that put a clock into every request."""

import json
import shutil
from collections import Counter

import httpx
import pytest
from client_service import served
from processes import eventually, free_port, running_program
from system import system

SUM = {"role": "user", "content": "add subtract multiply divide number sum 12 45 7 total minus plus"}
POEM = "river moon verse rhyme autumn silence wind lantern"
CALL = {"id": "call_8f0a2b1c44d04e5f", "type": "function", "function": {"name": "read", "arguments": "{}"}}
READ = {"role": "tool", "tool_call_id": CALL["id"], "content": POEM}
HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
DELTA = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **CALL}]}
CHUNKS = (
    {**HEAD, "choices": [{"index": 0, "delta": DELTA, "finish_reason": None}]},
    {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
)
N_CONVERSATIONS = 8
STREAM = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in CHUNKS) + b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def providers(upstream_of_all, tmp_path_factory):
    """A file in which all models are at one provider."""
    models = ", ".join(f'"{name}" = "{name}"' for name in ("small", "coder", "large"))
    path = tmp_path_factory.mktemp("conversations") / "providers.toml"
    path.write_text(
        f'[all]\nkind = "openai"\nbase_url = "{upstream_of_all.url_of("openai")}"\nmodels = {{ {models} }}\n'
    )
    return path


@pytest.fixture(scope="module")
def routing(trained, providers):
    """The address of a service with a router."""
    with served(artifact=trained.path, providers=providers, decision_deadline_s=30.0) as address:
        yield address


@pytest.fixture
def redis_url(tmp_path):
    """The URL of a Redis of its own."""
    pytest.importorskip("redis", reason="needs the extra 'redis'")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt-get install redis-server)")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with running_program(["redis-server", *options], port=port):
        yield f"redis://127.0.0.1:{port}/0"


def test_a_tool_loop_keeps_its_model_whatever_the_clock_says(routing, upstream):
    """The first turn is for 'small', and the later ones alone would be for 'large'."""
    upstream.script["openai"] = 200, STREAM

    def asked(minute, *turns, **more):
        clock = {"role": "system", "content": f"It is 03:{minute:02d}."}
        body = {"messages": [clock, *turns], "router": {"target_success": 0.6}, "stream": True, **more}
        response = httpx.post(f"{routing}/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        return response.headers["x-router-model"]

    loop = [{"role": "user", "content": POEM}, {"role": "assistant", "content": None, "tool_calls": [CALL]}, READ]
    assert asked(0, *loop) == "large"
    assert asked(1, SUM) == "small"
    assert asked(2, *loop) == "small"
    assert asked(3, *loop, {"role": "user", "content": "Two minutes are left."}) == "small"
    assert asked(4, loop[0], max_tokens=1, session_id="s") == "large"


@pytest.mark.slow
def test_two_services_share_a_conversation_that_nobody_named(trained, providers, upstream, redis_url, tmp_path):
    """Each turn has another clock at its beginning and reaches the other process; its answers are known by Redis.

    What Redis does not tell within 20 ms counts as unknown: most, not all, are asked for.
    """
    from redis import Redis

    def asked(service, key, minute, *turns):
        clock = {"role": "system", "content": f"It is 03:{minute:02d}."}
        body = {"messages": [clock, *turns], "router": {"target_success": 0.6}, "stream": True}
        headers = {"authorization": f"Bearer {key}"}
        response = httpx.post(f"{service.url}/v1/chat/completions", json=body, headers=headers, timeout=20)
        assert response.status_code == 200, response.text
        return response.headers["x-router-model"]

    def loop(call_id):
        call = {**CALL, "id": call_id}
        called = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [{"role": "user", "content": POEM}, called, {**READ, "tool_call_id": call_id}]

    options = {"providers": providers, "session_store": redis_url, "keys": tmp_path / "one" / "keys.toml"}
    with (
        system(tmp_path / "one", trained.path, **options) as one,
        system(tmp_path / "other", trained.path, **options) as other,
        Redis.from_url(redis_url) as store,
    ):
        ids = [f"call_8f0a2b1c44d0{n:04d}" for n in range(N_CONVERSATIONS)]
        for n, call_id in enumerate(ids):
            upstream.script["openai"] = 200, STREAM.replace(CALL["id"].encode(), call_id.encode())
            assert asked(one, one.key, n, SUM) == "small"
        eventually(lambda: store.dbsize() >= 2 * N_CONVERSATIONS, "sessions and answers are in Redis")
        assert asked(other, one.key, 30, *loop("call_of_nobody_0001")) == "large"
        kept = Counter(asked(other, one.key, 31 + n, *loop(call_id)) for n, call_id in enumerate(ids))
        assert kept["small"] > N_CONVERSATIONS // 2, kept
