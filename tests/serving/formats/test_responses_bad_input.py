"""Whatever comes in the place of Responses is an error of the caller or of the provider, never a defect of ours."""

import contextlib
import json

from damaged import damaged
from hypothesis import given
from openai_streams import sse, target_at

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.formats.translations.responses_to_openai.only_responses import only_responses
from router_model.serving.formats.translations.responses_to_openai.request import readable
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.provider import Kind

FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
CUSTOM = {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}
BODY = {
    "instructions": "Be brief.",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A moment."}]},
        {"type": "function_call", "call_id": "a", "namespace": "n", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "p", "input": "x"},
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "4"}]},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "x"},
        {"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": [FUNCTION]},
    ],
    "tools": [{"type": "namespace", "name": "n", "tools": [FUNCTION]}, CUSTOM],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "p"}]},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 5000,
}
CHAT = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "A moment."}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "custom", "custom": {"name": "p", "input": "x"}},
            ],
            "reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}],
        },
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "4"}]},
        {"role": "tool", "tool_call_id": "b", "content": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "p"}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low"},
    "max_tokens": 5,
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation", "url": "x"}]}],
}
ITEMS = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "x"},
    MESSAGE,
    {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "b", "name": "p", "input": "x"},
]
RESPONSE = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "incomplete_details": None,
    "error": None,
    "output": ITEMS,
    "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2},
}
EVENTS = [
    {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
    {"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "delta": "Hi", "logprobs": []},
    {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": {"type": "url_citation"}},
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
    {"type": "response.output_item.added", "output_index": 1, "item": {**ITEMS[2], "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_1", "delta": "{}"},
    {"type": "response.output_item.done", "output_index": 1, "item": ITEMS[2]},
    {"type": "response.output_item.done", "output_index": 2, "item": ITEMS[0]},
    {"type": "response.completed", "response": RESPONSE},
]
NATIVE = target_at(kind=Kind.RESPONSES)
SURFACES = (Surface.RESPONSES, Surface.CHAT, Surface.MESSAGES)


@given(damaged(BODY))
def test_bodies_of_responses(body):
    for kind in (Kind.OPENAI, Kind.ANTHROPIC, Kind.GEMINI, Kind.RESPONSES):
        with contextlib.suppress(InvalidRequestError):
            adapter_for(Surface.RESPONSES, kind).request(Call(Surface.RESPONSES, body), target_at(kind=kind), None)
    list(only_responses(body))
    readable(body)


@given(damaged(CHAT))
def test_bodies_of_chat(body):
    with contextlib.suppress(InvalidRequestError):
        adapter_for(Surface.CHAT, Kind.RESPONSES).request(Call(Surface.CHAT, body), NATIVE, None)


@given(damaged(RESPONSE), damaged(BODY))
def test_answers(answer, body):
    for surface in SURFACES:
        with contextlib.suppress(UpstreamFailure):
            adapter = adapter_for(surface, Kind.RESPONSES)
            adapter.answer(NATIVE, "", json.dumps(answer).encode(), {}, call=Call(surface, body))


@given(damaged(EVENTS), damaged(BODY))
def test_streams(events, body):
    for surface in SURFACES:
        stream = adapter_for(surface, Kind.RESPONSES).stream(Call(surface, body, stream=True), NATIVE)
        try:
            stream.feed(sse(*events, done=False))
            stream.end({})
        except UpstreamFailure as failure:
            stream.fail(failure)
    whole = adapter_for(Surface.RESPONSES, Kind.RESPONSES).assembly(NATIVE)
    with contextlib.suppress(UpstreamFailure):
        whole.feed(sse(*events, done=False))
        whole.end({})


def test_the_examples_are_right_before_they_are_damaged():
    for kind in (Kind.OPENAI, Kind.RESPONSES):
        adapter_for(Surface.RESPONSES, kind).request(Call(Surface.RESPONSES, BODY), target_at(kind=kind), None)
    adapter = adapter_for(Surface.CHAT, Kind.RESPONSES)
    adapter.request(Call(Surface.CHAT, CHAT), NATIVE, None)
    adapter.answer(NATIVE, "", json.dumps(RESPONSE).encode(), {})
    stream = adapter.stream(Call(Surface.CHAT, CHAT, stream=True), NATIVE)
    assert b"Hi" in b"".join([*stream.feed(sse(*EVENTS, done=False)), *stream.end({})])
