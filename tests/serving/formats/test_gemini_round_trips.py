"""What goes over and back is the same; what is cut into a stream says what the whole does; nothing crashes."""

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Event, Facts
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI
from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI
from router_model.serving.providers.failures import UpstreamFailure

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SIMPLE = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT
ARGUMENTS = st.dictionaries(TEXT, SIMPLE | st.lists(SIMPLE, max_size=3), max_size=3)
NAMES = st.sampled_from(["weather", "now", "find"])


def is_no_object(text):
    try:
        return not isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return True


@st.composite
def turns(draw):
    """A turn: the user's text, or an assistant's, or one with tool calls and all their results."""
    if draw(st.booleans()):
        return [{"role": draw(st.sampled_from(["user", "assistant"])), "content": draw(TEXT)}]
    calls = [
        {"id": draw(st.uuids()).hex, "type": "function", "function": {"name": name, "arguments": draw(ARGUMENTS)}}
        for name in draw(st.lists(NAMES, min_size=1, max_size=3))
    ]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT.filter(is_no_object))}
        for call in draw(st.permutations(calls))
    ]
    return [{"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls}, *results]


def written(messages):
    """Write the arguments of tool calls as OpenAI's format does."""
    for message in messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = orjson.dumps(call["function"]["arguments"]).decode()
    return messages


CONVERSATIONS = st.tuples(
    st.just([]) | TEXT.map(lambda text: [{"role": "system", "content": text}]),
    st.just([{"role": "user", "content": "hi"}]),
    st.lists(turns(), max_size=4).map(lambda some: [message for turn in some for message in turn]),
).map(lambda parts: written([message for part in parts for message in part]))

SAMPLING = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0.01, 1),
        "max_tokens": st.integers(1, 9999),
        "seed": st.integers(0, 99),
        "n": st.integers(2, 4),
        "stop": st.lists(TEXT, min_size=1, max_size=3),
        "logprobs": st.just(True),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high"]),
        "response_format": st.just({"type": "json_object"}),
        "tools": st.just([{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]),
    },
)


@settings(deadline=None)
@given(SAMPLING)
def test_settings_survive(sampling):
    body = {"messages": [{"role": "user", "content": "hi"}]} | sampling
    assert GENERATE_TO_OPENAI.request(CHAT_TO_GEMINI.request(body)) == body


@settings(deadline=None)
@given(CONVERSATIONS)
def test_a_conversation_without_ids_is_still_paired(messages):
    """Results answer calls of their name in order, so that the order of results of one name is kept."""
    body = CHAT_TO_GEMINI.request({"messages": messages})
    for content in body["contents"]:
        for part in content["parts"]:
            for kind in ("functionCall", "functionResponse"):
                part.get(kind, {}).pop("id", None)
    sent = GENERATE_TO_OPENAI.request(body)["messages"]
    calls = [call["id"] for message in sent for call in message.get("tool_calls", [])]
    results = [message["tool_call_id"] for message in sent if message["role"] == "tool"]
    assert sorted(calls) == sorted(results)
    assert len(set(calls)) == len(calls)


PARTS = st.lists(
    st.fixed_dictionaries({"text": TEXT}, optional={"thought": st.just(True)})
    | st.fixed_dictionaries({"name": NAMES, "args": ARGUMENTS}).map(lambda call: {"functionCall": call}),
    min_size=1,
    max_size=8,
)


def answer_of(parts, reason=None):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0} | (
        {"finishReason": reason} if reason else {}
    )
    return {"candidates": [candidate], "responseId": "r", "modelVersion": "m"}


def joined(chunks):
    """Put the deltas of chunks together, as OpenAI's clients do."""
    message = {"content": "", "reasoning_content": "", "tool_calls": []}
    for chunk in chunks:
        for name, value in chunk["choices"][0]["delta"].items():
            if name in message:
                message[name] += value
    calls = [{k: v for k, v in call.items() if k != "index"} for call in message["tool_calls"]]
    return {k: v for k, v in (message | {"tool_calls": calls}).items() if v}


@settings(deadline=None)
@given(PARTS, st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]))
def test_a_stream_says_what_the_whole_does(parts, reason):
    whole = CHAT_TO_GEMINI.answer(answer_of(parts, reason))["choices"][0]
    stream = CHAT_TO_GEMINI.stream()
    events = [answer_of([part]) for part in parts] + [answer_of([], reason)]
    chunks = [chunk for event in events for chunk in stream.translate(event)] + [*stream.end(Facts())]
    assert joined(chunks) == {k: v for k, v in whole["message"].items() if k != "role" and v}
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


@settings(deadline=None)
@given(PARTS, st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]))
def test_an_answer_survives(parts, reason):
    completion = CHAT_TO_GEMINI.answer(answer_of(parts, reason))
    again = CHAT_TO_GEMINI.answer(GENERATE_TO_OPENAI.answer(completion))
    first, second = completion["choices"][0], again["choices"][0]
    assert second["message"] == first["message"]
    assert second["finish_reason"] == first["finish_reason"]


@settings(deadline=None)
@given(PARTS)
def test_a_stream_survives(parts):
    there, back = CHAT_TO_GEMINI.stream(), GENERATE_TO_OPENAI.stream()
    events = [answer_of([part]) for part in parts] + [answer_of([], "STOP")]
    chunks = [chunk for event in events for chunk in there.translate(event)] + [*there.end(Facts())]
    returned = [event for chunk in chunks for event in back.translate(chunk)] + [*back.end(Facts())]
    said = [part for event in returned for part in event["candidates"][0]["content"]["parts"]]
    texts = [part for part in parts if "text" in part]
    assert [part for part in said if "text" in part] == texts
    assert [part["functionCall"]["args"] for part in said if "functionCall" in part] == [
        part["functionCall"]["args"] for part in parts if "functionCall" in part
    ]


RICH = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aa"}}]},
        {
            "role": "assistant",
            "content": "c",
            "images": [{"image_url": {"url": "data:image/png;base64,aa"}}],
            "extra_content": {"google": {"thought_signature": "c2ln"}},
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "now"}}]},
    },
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
    "reasoning": {"effort": "low", "max_tokens": 3},
    "stop": ["a"],
}
RICH_GENERATE = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "t"}, {"inlineData": {"mimeType": "image/png", "data": "aa"}}]},
        {"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": "https://a.org/b.png"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "now", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "now", "response": {"output": "x"}}}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "now",
                    "parameters": {"type": "OBJECT", "properties": {"a": {"anyOf": [{}], "nullable": True}}},
                }
            ]
        }
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}},
    "generationConfig": {
        "thinkingConfig": {"thinkingBudget": 3, "thinkingLevel": "LOW"},
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "minItems": "1", "enum": ["a"], "nullable": True},
    },
}
RICH_ANSWER = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "t", "thought": True},
                    {"text": "t", "thoughtSignature": "c2ln"},
                    {"functionCall": {"id": "1", "name": "now", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                    {"inlineData": {"mimeType": "image/png", "data": "aa"}},
                ]
            },
            "finishReason": "STOP",
            "index": 0,
            "logprobsResult": {
                "chosenCandidates": [{"token": "a", "logProbability": -1}],
                "topCandidates": [{"candidates": [{"token": "a", "logProbability": -1}]}],
            },
        }
    ],
    "promptFeedback": {"blockReason": "SAFETY"},
    "usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 1},
    "modelVersion": "m",
    "responseId": "r",
}
RICH_COMPLETION = {
    "id": "c",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "content": "c",
                "reasoning": "r",
                "refusal": "r",
                "images": [{"image_url": {"url": "data:image/png;base64,aa"}}],
                "extra_content": {"google": {"thought_signature": "c2ln"}},
                "tool_calls": [{"id": "1", "function": {"name": "now", "arguments": "{}"}}],
            },
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -1}]}]},
        }
    ],
}
RICH_ERROR = {
    "code": 429,
    "message": "m",
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"reason": "r", "retryDelay": "3s", "fieldViolations": [{"field": "f"}]}],
}
ODD = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.just("") | TEXT | st.sampled_from([[], {}, [3], {"a": 1}, 0.5])
)


def places(value, path=()):
    """Yield the path of every value within."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def damaged(body):
    """Return bodies with one odd value somewhere."""

    def damage(place, odd):
        copy = json.loads(json.dumps(body))
        inner = copy
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = odd
        return copy

    return st.builds(damage, st.sampled_from([place for place in places(body) if place]), ODD)


def outcome(function, *args):
    """Return what comes, as it is sent; of an error that may come, its message."""
    try:
        return orjson.dumps(function(*args))
    except (InvalidRequestError, UpstreamFailure) as error:
        return error.message


@given(damaged(RICH), damaged(RICH_GENERATE))
def test_odd_requests_are_the_callers_fault_and_no_crash(body, generate):
    assert outcome(CHAT_TO_GEMINI.request, body)
    assert outcome(GENERATE_TO_OPENAI.request, generate)


@given(damaged(RICH_ANSWER))
def test_odd_answers_are_the_providers_fault_and_no_crash(answer):
    def read(content):
        GeminiFormat().reader().read(Event(content))
        answer, facts = GeminiFormat().read_answer("application/json", content)
        stream = CHAT_TO_GEMINI.stream()
        return [CHAT_TO_GEMINI.answer(answer), *stream.translate(answer), *stream.end(facts)]

    assert outcome(read, orjson.dumps(answer))


@settings(deadline=None)
@given(damaged(RICH_COMPLETION))
def test_odd_completions_are_no_crash(completion):
    def translate(body):
        stream = GENERATE_TO_OPENAI.stream()
        return [GENERATE_TO_OPENAI.answer(body), *stream.translate(body), *stream.end(Facts())]

    assert outcome(translate, completion)


@settings(deadline=None)
@given(damaged(RICH_ERROR))
def test_odd_errors_are_failures(error):
    assert GeminiFormat().failure(500, {}, orjson.dumps({"error": error})).message
