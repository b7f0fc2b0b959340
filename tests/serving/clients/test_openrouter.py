"""OpenRouter's own SDK, pointed at us: its types are stricter than its pages say."""

import json

import httpx
import pytest
from client_service import CHAT

openrouter = pytest.importorskip("openrouter", reason="OpenRouter's SDK is not installed (pip install openrouter)")

HI = [{"role": "user", "content": "Hi"}]
THOUGHT = {"role": "assistant", "content": "hello", "reasoning_content": "Hm."}
CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}}], "usage": None},
    {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}], "usage": None},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}},
]


def stream(*chunks):
    about = {"id": "c1", "object": "chat.completion.chunk", "created": 1790000000, "model": "gpt-x"}
    return b"".join(b"data: " + json.dumps(about | one).encode() + b"\n\n" for one in chunks)


@pytest.fixture(params=["/api/v1", "/v1"])
def router(request, url, upstream):  # noqa: ARG001  (its script is empty then)
    with httpx.Client() as client:
        yield openrouter.OpenRouter(api_key="any", server_url=url + request.param, client=client)


def test_a_whole_answer(router, upstream):
    upstream.script["openai"] = 200, CHAT | {"choices": [{"index": 0, "message": THOUGHT, "finish_reason": "stop"}]}
    answer = router.chat.send(model="gpt-x", messages=HI)
    assert (answer.choices[0].message.content, answer.choices[0].message.reasoning) == ("hello", "Hm.")
    assert (answer.model, answer.usage.total_tokens, answer.usage.cost) == ("gpt-x", 11, None)


def test_a_stream(router, upstream):
    upstream.script["openai"] = 200, stream(*CHUNKS) + b"data: [DONE]\n\n"
    with router.chat.send(model="gpt-x", messages=HI, stream=True) as events:
        said = [event.data if hasattr(event, "data") else event for event in events]
    assert "".join(one.choices[0].delta.content or "" for one in said if one.choices) == "hello"
    assert [one.usage.total_tokens for one in said if one.usage] == [11]


def test_an_error_has_its_own_type(router):
    with pytest.raises(openrouter.errors.NotFoundResponseError, match="nearest is 'gpt-x'") as caught:
        router.chat.send(model="gpt-y", messages=HI)
    assert caught.value.data.error.code == 404
    assert caught.value.data.error.metadata["code"] == "model_not_found"


def test_a_stream_that_breaks_off_says_so(router, upstream):
    upstream.script["openai"] = 200, stream(CHUNKS[0])
    with router.chat.send(model="gpt-x", messages=HI, stream=True) as events:
        said = [event.data if hasattr(event, "data") else event for event in events]
    assert (said[-1].error.code, said[-1].choices[0].finish_reason) == (502, "error")


def test_models_are_listed(router):
    assert {"gpt-x", "claude-x", "gemini-x"} <= {one.id for one in router.models.list().result.data}
