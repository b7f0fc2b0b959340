"""Conversations over HTTP, with a router that decides, and clients that put a clock into every request."""

import json

import httpx
import pytest
from client_service import served

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
STREAM = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in CHUNKS) + b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def routing(trained, upstream_of_all, tmp_path_factory):
    """The address of a service with a router, whose models are all at one provider."""
    models = ", ".join(f'"{name}" = "{name}"' for name in ("small", "coder", "large"))
    path = tmp_path_factory.mktemp("conversations") / "providers.toml"
    path.write_text(f'[all]\nkind = "openai"\nbase_url = "{upstream_of_all.url("openai")}"\nmodels = {{ {models} }}\n')
    with served(artifact=trained.path, providers=path, decision_deadline_s=30.0) as address:
        yield address


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
