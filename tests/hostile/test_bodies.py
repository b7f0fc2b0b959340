"""Bodies that list too much, in every surface: refused with one clear message in the surface's own words."""

import threading

import pytest
from fake_service import client_of, fake_parts

from router_model.screening.globs import MAX_PATTERN_CHARS
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.http_edge import bodies
from router_model.serving.http_edge.body_limits import BodyLimits

HI = [{"role": "user", "content": "Hi"}]
SMALL = BodyLimits(depth=64, parts=5000, messages=40, tools=30, items=20, batch=10)
ROUTE, CHAT, MESSAGES, EMBED = "/v1/route", "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
GEMINI, PLANO, NOTDIAMOND = (
    "/v1beta/models/auto:generateContent",
    "/routing/v1/chat/completions",
    "/v2/modelRouter/modelSelect",
)


@pytest.fixture(scope="module")
def client(trained):
    parts = fake_parts(trained.router)
    parts.bodies = bodies.BodyReader(SMALL)
    with client_of(parts) as client:
        yield client


def said_by(answer):
    """Return the message, which is in the same place in OpenAI's, Anthropic's and Google's errors, and the status."""
    return answer.status_code, answer.json()["error"]["message"]


def many(n, value):
    return [value] * n


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (ROUTE, {"messages": many(41, HI[0])}, "messages: got 41; expected at most 40"),
        (PLANO, {"messages": many(41, HI[0])}, "messages: got 41; expected at most 40"),
        (CHAT, {"messages": many(41, HI[0])}, "messages: got 41; expected at most 40"),
        (MESSAGES, {"messages": many(41, HI[0])}, "messages: got 41; expected at most 40"),
        (NOTDIAMOND, {"messages": many(41, HI[0]), "llm_providers": []}, "messages: got 41"),
        (GEMINI, {"contents": many(41, {"parts": [{"text": "Hi"}]})}, "contents: got 41; expected at most 40"),
        (GEMINI, {"contents": [{"parts": many(81, {"text": "Hi"})}]}, "parts in all of them together: got 81"),
        (MESSAGES, {"messages": many(3, {"content": many(30, {"type": "text"})})}, "in all of them together: got 90"),
        (CHAT, {"messages": [{"role": "assistant", "tool_calls": many(81, {})}]}, "in all of them together: got 81"),
        (EMBED, {"model": "e", "input": many(41, "x")}, "input: got 41; expected at most 40"),
        (CHAT, {"messages": HI, "tools": many(31, {})}, "tools: got 31; expected at most 30"),
        (CHAT, {"messages": HI, "functions": many(31, {})}, "functions: got 31; expected at most 30"),
        (GEMINI, {"contents": [], "tools": many(2, {"functionDeclarations": many(16, {})})}, "tools: got 32"),
        (ROUTE, {"messages": HI, "router": {"deny": many(21, "a")}}, "router.deny: got 21; expected at most 20"),
        (ROUTE, {"messages": HI, "router": dict.fromkeys(map(str, range(21)))}, "router: got 21; expected at most 20"),
        (CHAT, {"messages": HI, "models": many(21, 1)}, "models: got 21; expected at most 20"),
        (CHAT, {"messages": HI, "plugins": [{"id": "x", "allowed_models": many(21, "a")}]}, "allowed_models: got 21"),
        (CHAT, {"messages": HI, "provider": {"only": many(21, "a")}}, "provider.only: got 21"),
        (CHAT, {"messages": HI, "metadata": dict.fromkeys(map(str, range(21)), "x")}, "metadata: got 21"),
        (CHAT, {"messages": HI, "stop": many(21, "x")}, "stop: got 21; expected at most 20"),
        (MESSAGES, {"messages": HI, "stop_sequences": many(21, "x")}, "stop_sequences: got 21"),
        (MESSAGES, {"messages": HI, "system": many(21, {"type": "text", "text": "x"})}, "system: got 21"),
        (GEMINI, {"contents": [], "generationConfig": {"stopSequences": many(21, "x")}}, ".stopSequences: got 21"),
        (NOTDIAMOND, {"messages": HI, "llm_providers": many(21, {})}, "llm_providers: got 21"),
        ("/v1/feedback", dict.fromkeys(map(str, range(21))), "the body: got 21; expected at most 20"),
        ("/v1/outcomes", dict.fromkeys(map(str, range(21))), "the body: got 21; expected at most 20"),
        ("/v1/route/batch", {"requests": many(11, {})}, "requests: got 11; expected at most 10"),
        ("/v1/route/batch", {"requests": [{"messages": many(41, HI[0])}]}, "requests[0].messages: got 41"),
    ],
)  # fmt: skip
def test_lists_are_bounded(client, path, body, said):
    status, message = said_by(client.post(path, json=body))
    assert status == 400
    assert said in message
    assert "send fewer, or ask the operator to raise the limit (max_" in message


@pytest.mark.parametrize("path", [ROUTE, CHAT, MESSAGES, GEMINI, EMBED, "/v1/feedback", "/v1/route/batch"])
@pytest.mark.parametrize("part", [b"{}", b"[]", b"1", b'{"a":1}', b'""', b"x", b"[1,2]"])
def test_bodies_of_many_small_parts_are_refused_before_they_are_parsed(client, path, part, monkeypatch):
    """Also where they are no JSON."""
    monkeypatch.setattr(bodies, "load_json", None)
    answer = client.post(
        path, content=b"[" + b",".join([part] * 5001) + b"]", headers={"content-type": "application/json"}
    )
    status, message = said_by(answer)
    assert (status, "expected at most 5000" in message) == (413, True)


def test_what_is_long_is_read_in_another_thread(client, monkeypatch):
    """A short body where it arrives, a long one elsewhere, and either with the same result."""
    seen, load = [], bodies.load_json
    monkeypatch.setattr(
        bodies, "load_json", lambda *given: seen.append(threading.current_thread().name) or load(*given)
    )
    for text in ("Hi", "Hi " * 30_000):
        for path in (ROUTE, CHAT, MESSAGES):
            body = {"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": text}]}
            assert client.post(path, json=body).status_code == 200, path
    assert len(seen) == 6
    assert "bodies" not in seen[:3]
    assert set(seen[3:]) == {"bodies"}


def test_globs_are_compiled_once_and_bounded(client):
    globs = [f"*{'x' * 250}{n}?" for n in range(19)]
    status, message = said_by(client.post(ROUTE, json={"messages": HI, "router": {"deny": globs}}))
    assert (status, f"expected at most {MAX_PATTERN_CHARS}" in message) == (400, True)
    status, message = said_by(client.post(ROUTE, json={"messages": HI, "router": {"deny": ["a" * 257]}}))
    assert (status, "router.deny[0]" in message) == (400, True)


def test_a_list_of_tokens_is_one_text():
    tokens = {"model": "e", "input": list(range(1000))}
    SMALL.check(tokens)
    with pytest.raises(InvalidRequestError, match="input: got 1000"):
        SMALL.check(tokens | {"input": [[1]] * 1000})


def test_what_is_the_providers_is_not_counted():
    schema = {
        "type": "object",
        "properties": {str(n): {"type": "string", "enum": ["a"] * 50} for n in range(100)},
    }
    SMALL.check({"messages": HI, "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]})
