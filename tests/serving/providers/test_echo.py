import asyncio
import base64
import json
import struct
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.providers.echo import EchoTransport
from router_model.serving.providers.echo_answers import example_of
from router_model.serving.providers.http import HttpRequest

WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TIME = {"name": "time", "parameters": {"type": "object", "properties": {"zone": {"enum": ["utc", "cet"]}}}}
TOOLS = [{"type": "function", "function": function} for function in (WEATHER, TIME)]


def ask(body, path="/chat/completions"):
    """Return status, content type and pieces of an answer."""

    async def run():
        transport = EchoTransport()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await transport.send(HttpRequest(f"http://echo.invalid/v1{path}", {}, content))
        pieces = [piece async for piece in response.chunks()]
        await response.close()
        await transport.close()
        return response.status, response.headers["content-type"], pieces

    return asyncio.run(run())


def chat(text="Tell me more", **body):
    return {"model": "echo/parrot", "messages": [{"role": "user", "content": text}], **body}


def answered(body, path="/chat/completions"):
    status, content_type, (piece,) = ask(body, path)
    assert (status, content_type) == (200, "application/json")
    return json.loads(piece)


def events(body):
    status, content_type, pieces = ask({**body, "stream": True})
    assert (status, content_type, pieces[-1]) == (200, "text/event-stream", b"data: [DONE]\n\n")
    assert all(piece.startswith(b"data: ") and piece.endswith(b"\n\n") for piece in pieces)
    return [json.loads(piece[6:]) for piece in pieces[:-1]]


def test_answer_says_back_what_was_said():
    """Input: 4 tokens for each of two messages, and 2 + 3 words; output: 3 words."""
    body = chat()
    body["messages"].insert(0, {"role": "system", "content": "Be kind"})
    answer = answered(body)
    (choice,) = answer["choices"]
    assert (answer["object"], answer["model"]) == ("chat.completion", "echo/parrot")
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Tell me more", "stop")
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (13, 3)
    assert answer["usage"]["total_tokens"] == 16


def test_same_question_has_the_same_answer():
    assert answered(chat()) == answered(chat())
    assert answered(chat())["id"] != answered(chat("Tell me less"))["id"]


def test_stream_comes_word_by_word():
    said = events(chat())
    deltas = [event["choices"][0]["delta"] for event in said]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "Tell"},
        {"content": " me"},
        {"content": " more"},
        {},
    ]
    assert [event["choices"][0]["finish_reason"] for event in said] == [None] * 4 + ["stop"]
    assert {event["object"] for event in said} == {"chat.completion.chunk"}
    assert "usage" not in said[0]


def test_stream_ends_with_usage_where_asked():
    *before, last = events(chat(stream_options={"include_usage": True}))
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)
    assert all(event["usage"] is None for event in before)


@given(st.text(), st.integers(1, 3))
def test_stream_says_what_the_whole_answer_says(text, n):
    body = chat(text, n=n, stream_options={"include_usage": True})
    whole, streamed = answered(body), events(body)
    for choice in whole["choices"]:
        mine = [event["choices"][0] for event in streamed[:-1] if event["choices"][0]["index"] == choice["index"]]
        assert "".join(one["delta"].get("content", "") for one in mine) == choice["message"]["content"]
    assert len(whole["choices"]) == n
    assert streamed[-1]["usage"] == whole["usage"]
    assert streamed[0]["id"] == whole["id"]


def test_parts_and_images_are_read():
    """4 tokens for the message, 1 word, 85 for the image."""
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    answer = answered({"model": "m", "messages": [{"role": "user", "content": parts}]})
    assert answer["choices"][0]["message"]["content"] == "Look"
    assert answer["usage"]["prompt_tokens"] == 90


@pytest.mark.parametrize(
    ("asked", "content", "finish_reason"),
    [
        ({"max_tokens": 2}, "one two", "length"),
        ({"max_completion_tokens": 1}, "one", "length"),
        ({"max_tokens": 4}, "one two three four", "stop"),
        ({"stop": " three"}, "one two", "stop"),
        ({"stop": ["four", "two"]}, "one ", "stop"),
    ],
)
def test_answer_is_cut(asked, content, finish_reason):
    (choice,) = answered(chat("one two three four", **asked))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, finish_reason)


@pytest.mark.parametrize(
    ("tool_choice", "name", "arguments"),
    [
        ("required", "weather", {"city": "Tell me more"}),
        ({"type": "function", "function": {"name": "time"}}, "time", {"zone": "utc"}),
    ],
)
def test_forced_tool_is_called(tool_choice, name, arguments):
    body = chat(tools=TOOLS, tool_choice=tool_choice)
    (choice,) = answered(body)["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (name, arguments)
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    first, *rest = [one for event in events(body) for one in event["choices"][0]["delta"].get("tool_calls", [])]
    assert (first["id"], first["function"]) == (call["id"], {"name": name, "arguments": ""})
    assert "".join(one["function"]["arguments"] for one in rest) == call["function"]["arguments"]


@pytest.mark.parametrize("tool_choice", ["auto", "none", None])
def test_tool_that_is_not_forced_is_not_called(tool_choice):
    (choice,) = answered(chat(tools=TOOLS, tool_choice=tool_choice))["choices"]
    assert choice["message"]["content"] == "Tell me more"


def test_json_is_answered_where_asked():
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/Step"}}},
        "$defs": {"Step": {"type": "object", "properties": {"say": {"type": "string"}, "n": {"type": "integer"}}}},
    }
    held = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    contents = [
        json.loads(answered(chat("hi", response_format=asked))["choices"][0]["message"]["content"])
        for asked in ({"type": "json_object"}, held)
    ]
    assert contents == [{"echo": "hi"}, {"steps": [{"say": "hi", "n": 0}] * 2}]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": ["null", "string"]}, None),
        ({"const": 7}, 7),
        ({"type": "number", "minimum": 2}, 2),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object"}, {}),
        (None, {}),
        ({"$ref": "#/nowhere"}, "t"),
    ],
)
def test_example_of_a_schema(schema, expected):
    assert example_of(schema, "t") == expected


def test_circular_schema_has_an_end():
    assert example_of({"type": "object", "properties": {"next": {"$ref": "#"}}}, "t")


def test_embeddings_are_deterministic_and_of_length_one():
    answer = answered({"model": "echo/vectors", "input": ["a cat", "a dog", "a cat"]}, "/embeddings")
    cat, dog, again = (one["embedding"] for one in answer["data"])
    assert cat == again
    assert cat != dog
    assert isclose(sum(number**2 for number in cat), 1, rel_tol=1e-6)
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert [one["index"] for one in answer["data"]] == [0, 1, 2]


def test_embeddings_as_bytes_are_the_same_numbers():
    plain, coded = (
        answered({"model": "m", "input": "x", "dimensions": 4, **more}, "/embeddings")["data"][0]["embedding"]
        for more in ({}, {"encoding_format": "base64"})
    )
    assert list(struct.unpack("<4f", base64.b64decode(coded))) == plain


@pytest.mark.parametrize(
    ("given_input", "n_vectors", "n_tokens"), [("a b", 1, 2), ([1, 2, 3], 1, 3), ([[1], [2, 3]], 2, 3)]
)
def test_embeddings_of_texts_and_tokens(given_input, n_vectors, n_tokens):
    answer = answered({"model": "m", "input": given_input}, "/embeddings")
    assert (len(answer["data"]), answer["usage"]["prompt_tokens"]) == (n_vectors, n_tokens)


@pytest.mark.parametrize(
    ("body", "path", "status", "message"),
    [
        (b"no json", "/chat/completions", 400, "the body is not a JSON object"),
        (b"[]", "/chat/completions", 400, "the body is not a JSON object"),
        ({"model": "m"}, "/chat/completions", 400, "'messages' is not a list"),
        (chat(), "/completions", 404, "echo has no /v1/completions"),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_openai(body, path, status, message):
    said_status, _, (piece,) = ask(body, path)
    error = json.loads(piece)["error"]
    assert said_status == status
    assert error["message"].startswith(message)
    assert error["type"] == "invalid_request_error"


def test_question_without_words_is_answered():
    assert answered({"model": "m", "messages": []})["choices"][0]["message"]["content"] == "(nothing was said)"
