"""Paths, headers and bodies as clients send them, over HTTP and by the SDKs."""

import gzip
import json

import anthropic
import httpx
import openai
import pytest
import zstandard
from client_service import providers_file, served

HI = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "gpt-x", "messages": HI}
VECTORS = {"object": "list", "model": "gpt-x", "data": [{"index": 0, "embedding": [0.5, 1.0]}]}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/api/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/gpt-x/chat/completions?api-version=2026-01-01",
    ],
)
def test_a_chat_by_any_path(url, upstream, path):  # noqa: ARG001
    assert httpx.post(url + path, json=CHAT).json()["model"] == "gpt-x"


def test_azures_sdk(url, upstream):
    with openai.AzureOpenAI(azure_endpoint=url, api_key="any", api_version="2026-01-01", max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-x", messages=HI).choices[0].message.content == "hello"
        upstream.script["openai"] = 200, VECTORS
        assert client.embeddings.create(model="gpt-x", input="Hi").data[0].embedding == [0.5, 1.0]


def test_completions_are_chats(chat, upstream):
    answer = chat.completions.create(model="gpt-x", prompt="Hi", max_tokens=5)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion",
        "hello",
        "stop",
    )
    assert upstream.seen[0][2]["messages"] == HI
    with pytest.raises(openai.BadRequestError, match="suffix"):
        chat.completions.create(model="gpt-x", prompt="Hi", suffix="!")


def test_completions_are_streamed(chat, upstream):
    chunks = [{"content": "hel"}, {"content": "lo"}]
    events = [{"id": "c", "choices": [{"index": 0, "delta": one}]} for one in chunks]
    events[1]["choices"][0]["finish_reason"] = "stop"
    upstream.script["openai"] = 200, b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)
    said = [one for one in chat.completions.create(model="gpt-x", prompt="Hi", stream=True) if one.choices]
    assert "".join(one.choices[0].text for one in said) == "hello"
    assert {one.object for one in said} == {"text_completion"}


def test_tokens_are_counted_by_a_provider_that_counts(claude, upstream):
    upstream.script["anthropic"] = 200, {"input_tokens": 77}
    counted = claude.messages.with_raw_response.count_tokens(model="claude-x", messages=HI, system="Be brief.")
    assert counted.parse().input_tokens == 77
    assert counted.headers["x-router-token-count"] == "anthropic"
    assert [(kind, path, sorted(body)) for kind, path, body in upstream.seen] == [
        ("anthropic", "v1/messages/count_tokens", ["messages", "model", "system"])
    ]


@pytest.mark.parametrize("model", ["gpt-x", "claude-x"])
def test_tokens_are_estimated_where_nobody_counts(claude, upstream, model):
    """{"messages":[{"role":"user","content":"aa…a"}]} of 400 a's is 441 bytes: 111 tokens."""
    upstream.script["anthropic"] = 500, {"type": "error", "error": {"type": "api_error", "message": "boom"}}
    counted = claude.messages.with_raw_response.count_tokens(
        model=model, messages=[{"role": "user", "content": "a" * 400}]
    )
    assert counted.parse().input_tokens == 111
    assert counted.headers["x-router-token-count"] == "estimated"


def test_a_bad_request_to_count_is_told(claude, upstream):
    error = {"type": "invalid_request_error", "message": "messages.0: bad"}
    upstream.script["anthropic"] = 400, {"type": "error", "error": error}
    with pytest.raises(anthropic.BadRequestError, match="bad"):
        claude.messages.count_tokens(model="claude-x", messages=HI)
    with pytest.raises(anthropic.NotFoundError, match="the nearest is 'claude-x'"):
        claude.messages.count_tokens(model="claude-y", messages=HI)


def test_google_counts_embeds_and_lists(google, upstream):
    upstream.script["gemini"] = 200, {"totalTokens": 5}
    assert google.models.count_tokens(model="gemini-x", contents="Hi").total_tokens == 5
    assert upstream.seen[0][1] == "v1beta/models/gemini-x:countTokens"
    upstream.script["openai"] = 200, VECTORS
    assert google.models.embed_content(model="gpt-x", contents="Hi").embeddings[0].values == [0.5, 1.0]
    assert "models/gemini-x" in {one.name for one in google.models.list()}
    assert google.models.get(model="gemini-x").name == "models/gemini-x"


def test_anthropic_lists(claude):
    listed = claude.models.list()
    assert {"claude-x", "gpt-x"} <= {one.id for one in listed.data}
    assert (listed.has_more, claude.models.retrieve("claude-x").display_name) == (False, "claude-x")


def test_a_model_that_a_star_serves_can_be_looked_up(chat):
    """It is not in the list, which would be endless; SDKs and agents ask for it before they call it."""
    assert chat.models.retrieve("openai/any").id == "openai/any"
    with pytest.raises(openai.NotFoundError, match="the service has no model 'nobody/any'"):
        chat.models.retrieve("nobody/any")


def test_google_counts_a_whole_request(url, upstream):
    """As REST calls may say it: the request that would be sent to generate."""
    upstream.script["gemini"] = 200, {"totalTokens": 5}
    body = {"generateContentRequest": {"model": "models/gemini-x", "contents": [{"parts": [{"text": "Hi"}]}]}}
    answer = httpx.post(f"{url}/v1beta/models/gemini-x:countTokens", json=body)
    assert (answer.status_code, answer.json()) == (200, {"totalTokens": 5})


@pytest.mark.parametrize(
    ("model", "script"),
    [
        (
            "gpt-x",
            {
                "id": "c",
                "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            },
        ),
        ("gemini-x", {"candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}),
        ("claude-x", {"content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn"}),
    ],
)
def test_a_whole_answer_in_place_of_a_stream_is_streamed(chat, upstream, model, script):
    """It is paid for: nobody is asked again."""
    upstream.script |= dict.fromkeys(("openai", "gemini", "anthropic"), (200, script))
    chunks = list(chat.chat.completions.create(model=model, messages=HI, stream=True))
    said = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(one.delta.content or "" for one in said) == "hello"
    assert [one.finish_reason for one in said if one.finish_reason] == ["stop"]
    assert len(upstream.seen) == 1


def test_googles_key_may_be_in_the_query(url):
    assert "models" in httpx.get(f"{url}/v1beta/models", params={"key": "any"}).json()


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)]
)
def test_bodies_may_be_compressed(url, upstream, coding, compress):  # noqa: ARG001
    def send(content):
        headers = {"content-encoding": coding, "content-type": "application/json"}
        return httpx.post(f"{url}/v1/chat/completions", content=content, headers=headers)

    assert send(compress(json.dumps(CHAT).encode())).status_code == 200
    bomb = send(compress(b" " * 40_000_000))
    assert (bomb.status_code, bomb.json()["error"]["code"]) == (413, "request_too_large")
    for broken in (b"", b"nonsense", compress(json.dumps(CHAT).encode())[:-20]):
        assert send(broken).status_code == 400


def test_an_unknown_coding_is_refused(url):
    answer = httpx.post(f"{url}/v1/chat/completions", content=b"{}", headers={
        "content-encoding": "br", "content-type": "application/json"})  # fmt: skip
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "content-encoding")


def test_pages_of_named_origins_may_call(upstream, tmp_path):
    page, other = "https://chat.example.com", "https://evil.example.com"
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    with served(providers=providers_file(tmp_path, upstream), cors_origins=(page,)) as url:
        path = f"{url}/v1/chat/completions"
        allowed = httpx.options(path, headers={"origin": page} | asks)
        refused = httpx.options(path, headers={"origin": other} | asks)
        answer = httpx.post(path, json=CHAT, headers={"origin": page, "sec-fetch-site": "cross-site"})
        foreign = httpx.post(path, json=CHAT, headers={"origin": other, "sec-fetch-site": "cross-site"})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, page)
    assert "access-control-allow-origin" not in refused.headers
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, page)
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert (foreign.status_code, "access-control-allow-origin" in foreign.headers) == (403, False)


def test_no_page_may_call_by_default(url):
    answer = httpx.options(f"{url}/v1/chat/completions", headers={"origin": "https://a.org"})
    assert "access-control-allow-origin" not in answer.headers


def test_openrouters_questions(url, chat):
    answer = chat.chat.completions.create(model="gpt-x", messages=HI)

    def get(path):
        return httpx.get(f"{url}/api/v1{path}").json()

    told = get(f"/generation?id={answer.id}")["data"]
    assert (told["model"], told["tokens_prompt"], told["tokens_completion"]) == ("gpt-x", 9, 2)
    assert get("/generation?id=other")["error"]["code"] == 404
    assert get("/models/count")["data"]["count"] == len(get("/models")["data"])
    assert [one["slug"] for one in get("/providers")["data"]] == ["openai", "anthropic", "gemini"]
    assert get("/key")["data"]["limit"] is None
    assert get("/credits")["error"]["code"] == 404
