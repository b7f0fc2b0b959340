"""Whatever comes, callers get an error of theirs and providers one of theirs: never a defect of ours."""

import contextlib
import json
from dataclasses import replace

import pytest
from anthropic_examples import CHAT, CLAUDE, GPT, MESSAGES, STREAM, chunk, chunks_as_bytes, events_as_bytes
from damaged import damaged
from hypothesis import given

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.openai.chat_format import OpenAIFormat
from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC
from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI
from router_model.serving.providers.failures import UpstreamFailure

TO_ANTHROPIC = Adapter(OpenAIFormat(), AnthropicFormat(), CHAT_TO_ANTHROPIC)
TO_OPENAI = Adapter(AnthropicFormat(), OpenAIFormat(), MESSAGES_TO_OPENAI)
SAME = Adapter(AnthropicFormat(), AnthropicFormat())
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CHAT_BODY = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,SGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL],
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "s"}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "4"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]}},
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"a": {}}}}},
    "reasoning": {"effort": "low"},
    "reasoning_effort": "low",
    "stop": ["a"],
    "temperature": 0.5,
    "max_tokens": 5000,
}
SOURCE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
MESSAGES_BODY = {
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image", "source": SOURCE}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "4"}]},
                {"type": "document", "source": {"type": "text", "data": "Long."}},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    "metadata": {"user_id": "u"},
    "max_tokens": 5000,
}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}},
}
COMPLETION = {
    "id": "c1",
    "choices": [
        {
            "index": 0,
            "message": {
                "content": [{"type": "text", "text": "Hi"}],
                "reasoning": "Hm.",
                "reasoning_details": [{"type": "reasoning.text", "signature": "s"}],
                "tool_calls": [CALL],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}
CHUNKS = [
    chunk({"role": "assistant", "content": "Hi", "reasoning": "Hm."}),
    chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s"}]}),
    chunk({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "f", "arguments": "{}"}}]}),
    chunk({}, "tool_calls"),
]


@pytest.mark.parametrize("target", [CLAUDE, replace(CLAUDE, upstream_model="claude-haiku-4-5")], ids=["new", "old"])
@given(body=damaged(CHAT_BODY))
def test_chat_bodies_for_anthropic(target, body):
    with contextlib.suppress(InvalidRequestError):
        TO_ANTHROPIC.request(replace(CHAT, body=body), target, None)


@given(damaged(MESSAGES_BODY))
def test_messages_bodies(body):
    SAME.request(replace(MESSAGES, body=body), CLAUDE, None)
    with contextlib.suppress(InvalidRequestError):
        TO_OPENAI.request(replace(MESSAGES, body=body), GPT, None)


@given(damaged(ANSWER))
def test_answers_of_anthropic(answer):
    read(TO_ANTHROPIC, CLAUDE, answer)
    read(SAME, CLAUDE, answer)


@given(damaged(COMPLETION))
def test_answers_of_openai(answer):
    read(TO_OPENAI, GPT, answer)


@given(damaged(list(STREAM)))
def test_streams_of_anthropic(events):
    data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    for adapter, call in ((TO_ANTHROPIC, CHAT), (SAME, MESSAGES)):
        follow(adapter.stream(call, CLAUDE), data)


@given(damaged(CHUNKS))
def test_streams_of_openai(chunks):
    follow(TO_OPENAI.stream(MESSAGES, GPT), chunks_as_bytes(chunks))


def test_the_examples_are_right_before_they_are_damaged():
    CHAT_TO_ANTHROPIC.request(CHAT_BODY)
    MESSAGES_TO_OPENAI.request(MESSAGES_BODY)
    TO_ANTHROPIC.answer(CLAUDE, "", json.dumps(ANSWER).encode(), {})
    TO_OPENAI.answer(GPT, "", json.dumps(COMPLETION).encode(), {})
    TO_ANTHROPIC.stream(CHAT, CLAUDE).feed(events_as_bytes(STREAM))
    TO_OPENAI.stream(MESSAGES, GPT).feed(chunks_as_bytes(CHUNKS))


def read(adapter, target, answer):
    try:
        adapter.answer(target, "application/json", json.dumps(answer).encode(), {})
    except UpstreamFailure:
        return


def follow(stream, data):
    try:
        stream.feed(data)
        stream.end({})
    except UpstreamFailure as failure:
        stream.fail(failure)
