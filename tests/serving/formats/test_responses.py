"""Responses in front of providers that do not speak them, and of those that do."""

import json
from dataclasses import replace
from typing import get_args

import orjson
import pytest
from openai import Omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from openai_streams import USAGE, chunk, sse, target_at, text, usage_chunk

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.formats.responses.assembler import ResponseAssembler
from router_model.serving.formats.translations.chat_to_responses import CHAT_TO_RESPONSES
from router_model.serving.formats.translations.responses_to_openai import RESPONSES_TO_OPENAI
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind

EVENTS = {get_args(one.model_fields["type"].annotation)[0]: one for one in get_args(get_args(ResponseStreamEvent)[0])}
"""The SDK's type of each event."""
SEARCH = {"type": "function", "name": "search", "parameters": {"type": "object"}, "strict": False}
DOCS = {"type": "namespace", "name": "docs", "description": "Pages.", "tools": [SEARCH]}
PATCH = {
    "type": "custom",
    "name": "patch",
    "description": "Change files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "+"'},
}
ENCRYPTED = ["reasoning.encrypted_content"]


def call_of(name, arguments, index=0):
    return {
        "index": index,
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def streamed(body, *chunks, kind=Kind.OPENAI):
    """Return the events for the caller as objects, each checked against the SDK's types."""
    call, adapter = Call(Surface.RESPONSES, body, stream=True), adapter_for(Surface.RESPONSES, kind)
    stream = adapter.stream(call, target_at(kind=kind))
    content = b"".join([*stream.feed(sse(*chunks)), *stream.end({})])
    return events_of(content)


def events_of(content):
    blocks = content.decode().strip().split("\n\n")
    events = [json.loads(block.partition("\ndata: ")[2]) for block in blocks]
    assert [block.partition("\n")[0] for block in blocks] == [f"event: {one['type']}" for one in events]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    state = ResponseStreamState(input_tools=[], text_format=Omit())
    for one in events:
        read = EVENTS[one["type"]].model_validate(one)
        if one["type"] != "error":
            state.handle_event(read)
    return events


def sent(body, kind=Kind.OPENAI, model="gpt-x", **more):
    target = replace(target_at(kind=kind), upstream_model=model)
    request = adapter_for(Surface.RESPONSES, kind).request(Call(Surface.RESPONSES, body, **more), target, "k-1")
    return orjson.loads(request.content)


def test_tools_in_namespaces_and_custom_tools_become_functions():
    asked = sent({"input": "Hi", "tools": [DOCS, PATCH], "tool_choice": {"type": "custom", "name": "patch"}})
    names = [tool["function"]["name"] for tool in asked["tools"]]
    custom = asked["tools"][1]["function"]
    assert names == ["docs__search", "patch"]
    assert custom["description"] == 'Change files.\n\nThe input must match this lark grammar:\nstart: "+"'
    assert custom["parameters"]["required"] == ["input"]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "patch"}}


def test_their_calls_come_back_by_their_own_names():
    calls = [call_of("docs__search", '{"q": 1}'), call_of("patch", '{"input": "+a\\n"}', 1)]
    events = streamed({"input": "Hi", "tools": [DOCS, PATCH]}, chunk({"tool_calls": calls}), chunk({}, "tool_calls"))
    output = events[-1]["response"]["output"]
    kinds = [one["type"] for one in events if "custom" in one["type"] or "arguments" in one["type"]]
    assert [(one["type"], one["name"], one.get("namespace")) for one in output] == [
        ("function_call", "search", "docs"),
        ("custom_tool_call", "patch", None),
    ]
    assert output[1]["input"] == "+a\n"
    assert kinds == [
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
    ]
    adapter, call = adapter_for(Surface.RESPONSES, Kind.OPENAI), Call(Surface.RESPONSES, {"tools": [DOCS, PATCH]})
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    answer, _ = adapter.answer(target_at(), "application/json", orjson.dumps(whole), {}, call=call)
    assert [(one["type"], one["name"]) for one in answer["output"]] == [
        ("function_call", "search"),
        ("custom_tool_call", "patch"),
    ]
    Response.model_validate(answer)


def test_calls_of_such_tools_go_back_as_they_came():
    items = [
        {"type": "function_call", "call_id": "a", "namespace": "docs", "name": "search", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "+a"},
        {"type": "function_call_output", "call_id": "a", "output": "found"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "done"},
    ]
    turn, *results = sent({"input": items, "tools": [DOCS, PATCH]})["messages"]
    assert [one["function"]["name"] for one in turn["tool_calls"]] == ["docs__search", "patch"]
    assert json.loads(turn["tool_calls"][1]["function"]["arguments"]) == {"input": "+a"}
    assert [(one["tool_call_id"], one["content"]) for one in results] == [("a", "found"), ("b", "done")]


def test_a_search_for_tools_that_the_caller_runs_is_a_function_and_its_finds_are_tools():
    search = {"type": "tool_search", "execution": "client", "description": "Find.", "parameters": {"type": "object"}}
    event = streamed(
        {"input": "Hi", "tools": [search]},
        chunk({"tool_calls": [call_of("tool_search", '{"query": "docs"}')]}),
        chunk({}, "tool_calls"),
    )[-1]
    (call,) = event["response"]["output"]
    assert (call["type"], call["arguments"], call["execution"]) == ("tool_search_call", {"query": "docs"}, "client")
    found = {"type": "tool_search_output", "call_id": call["call_id"], "execution": "client", "tools": [DOCS]}
    asked = sent({"input": [call, found, {**found, "call_id": "again"}], "tools": [search]})
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["tool_search", "docs__search"]
    turn, result, _ = asked["messages"]
    assert turn["tool_calls"][0]["function"] == {"name": "tool_search", "arguments": '{"query":"docs"}'}
    assert "docs__search" in result["content"]


def test_images_of_results_follow_behind_all_results():
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
    items = [
        *({"type": "function_call", "call_id": one, "name": "f", "arguments": "{}"} for one in "ab"),
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "See."}, image]},
        {"type": "function_call_output", "call_id": "b", "output": "4"},
    ]
    messages = sent({"input": items})["messages"]
    assert [one["role"] for one in messages] == ["assistant", "tool", "tool", "user"]
    assert messages[-1]["content"][0]["image_url"] == {"url": image["image_url"], "detail": "low"}


def test_reasoning_is_a_summary_and_carries_what_its_vendor_signed():
    """Claude's signature goes to the caller and back; without `include` or `store: false` it stays here."""
    signed = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
    said = chunk({"reasoning_content": "Hm."}), chunk({"reasoning_details": [signed]}), text("Yes."), chunk({}, "stop")
    plain = streamed({"input": "Hi"}, *said)[-1]["response"]["output"]
    asked = streamed({"input": "Hi", "include": ENCRYPTED}, *said)[-1]["response"]["output"]
    unstored = streamed({"input": "Hi", "store": False}, *said)[-1]["response"]["output"]
    assert [one["type"] for one in asked] == ["reasoning", "message"]
    assert asked[0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert "encrypted_content" not in plain[0]
    assert unstored[0]["encrypted_content"] == asked[0]["encrypted_content"]
    history = [{"role": "user", "content": "Hi"}, *asked, {"role": "user", "content": "Why?"}]
    back = sent({"input": history, "max_output_tokens": 9}, Kind.ANTHROPIC, "claude-sonnet-4-5")
    assert back["messages"][1]["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    assert [one.get("type") for one in sent({"input": history}, Kind.RESPONSES)["input"]] == [None, "message", None]


def test_reasoning_of_openai_goes_back_to_openai_alone():
    kept = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    history = [kept, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
    native = sent({"input": history, "include": ENCRYPTED, "store": False}, Kind.RESPONSES, "gpt-5")
    assert native["input"] == history
    assert native["include"] == ENCRYPTED
    claude = sent({"input": history}, Kind.ANTHROPIC, "claude-sonnet-4-5")
    assert "gAAAA" not in json.dumps(claude)
    assert "include" not in sent({"input": "Hi", "include": ENCRYPTED}, Kind.RESPONSES, "gpt-4.1")


def test_a_chat_has_its_encrypted_reasoning_back():
    response = {
        "id": "r",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]},
        ],
    }
    response["output"][0]["encrypted_content"] = "gAAAA"
    message = CHAT_TO_RESPONSES.answer(response)["choices"][0]["message"]
    asked = CHAT_TO_RESPONSES.request({"messages": [message], "reasoning_effort": "low"})
    assert message["reasoning_content"] == "Hm."
    assert asked["input"][0] == {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    assert (asked["store"], asked["include"]) == (False, ENCRYPTED)


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"previous_response_id": "r"}, "previous_response_id", "send the whole conversation"),
        ({"conversation": {"id": "c"}}, "conversation", "send the whole conversation"),
        ({"prompt": {"id": "p"}}, "prompt", "send the prompt's text"),
        ({"background": True}, "background", "leave it out"),
        ({"tools": [{"type": "tool_search", "execution": "server"}]}, "tools", "tool_search"),
        ({"tools": [SEARCH, SEARCH | {"type": "custom"}]}, "tools", "two tools have the name 'search'"),
        ({"tools": [{"type": "web_search"}]}, "tools", "'web_search' needs a provider that speaks Responses"),
        ({"input": [{"type": "item_reference", "id": "m"}]}, "input", r"item_reference.*store=false"),
        ({"input": [{"id": "m"}]}, "input", "item_reference"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input", "compaction"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input", "'image_url'"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input", "'file_data'"),
        ({"tools": [SEARCH], "tool_choice": {"type": "web_search"}}, "tool_choice", "web_search"),
        ({"input": [{"role": "bot", "content": "Hi"}]}, "input", "'bot'"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input", "'video'"),
        ({"input": None}, "input", "is missing"),
        ({"text": {"format": {"type": "xml"}}}, "text", "json_schema"),
    ],
)
def test_what_chat_cannot_say_is_refused_by_name(body, param, said):
    with pytest.raises(InvalidRequestError, match=said) as refused:
        RESPONSES_TO_OPENAI.request({"input": "Hi", **body})
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [({"stop": "END"}, "stop"), ({"n": 2}, "n"), ({"functions": [{"name": "f"}]}, "functions")],
)
def test_what_responses_cannot_say_is_refused_by_name(body, param):
    with pytest.raises(InvalidRequestError, match=param):
        CHAT_TO_RESPONSES.request({"messages": [{"role": "user", "content": "Hi"}], **body})


def test_a_body_for_its_own_kind_is_passed_on_as_it_is():
    """But for the model, the stream, and a limit or effort that the model does not take."""
    body = {
        "input": [{"type": "item_reference", "id": "m"}],
        "tools": [{"type": "web_search"}, DOCS, PATCH],
        "previous_response_id": "r",
        "reasoning": {"effort": "minimal", "summary": "auto"},
        "text": {"verbosity": "low"},
        "store": True,
        "brand_new": {"a": [1]},
    }
    asked = sent(body, Kind.RESPONSES, "gpt-5.1", stream=True)
    effort = asked["reasoning"].pop("effort")
    assert effort in ("none", "low")
    assert asked["reasoning"] == {"summary": "auto"}
    assert {name: asked[name] for name in body if name != "reasoning"} == {
        name: value for name, value in body.items() if name != "reasoning"
    }
    assert (asked["model"], asked["stream"]) == ("gpt-5.1", True)


def test_an_answer_that_is_cut_is_incomplete():
    events = streamed({"input": "Hi"}, text("Hel"), chunk({}, "length"), usage_chunk(USAGE))
    last = events[-1]["response"]
    assert events[-1]["type"] == "response.incomplete"
    assert last["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["output"][0]["status"] == "incomplete"
    assert (last["usage"]["input_tokens"], last["usage"]["output_tokens"]) == (1000, 20)
    assert last["usage"]["cost"] == pytest.approx(0.0022)  # 1000 x 2e-6 + 20 x 1e-5


@pytest.mark.parametrize("begun", [True, False])
def test_a_stream_that_breaks_ends_with_an_error_that_every_client_reads(begun):
    call = Call(Surface.RESPONSES, {"input": "Hi"}, stream=True)
    stream = adapter_for(Surface.RESPONSES, Kind.OPENAI).stream(call, target_at())
    before = stream.feed(sse(text("Hel"), done=False)) if begun else []
    events = events_of(b"".join([*before, *stream.fail(UpstreamFailure(FailureKind.RATE_LIMITED, "slow down"))]))
    error, failed = events[-2:]
    assert (error["type"], error["code"], error["error"]["message"]) == ("error", "rate_limit_exceeded", "slow down")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    too_long = b"".join(stream.fail(UpstreamFailure(FailureKind.TOO_LONG, "too long")))
    assert too_long.count(b'"code":"context_length_exceeded"') == 3  # Codex compacts by it; the SDK's types lack it


FAILED = {"code": "rate_limit_exceeded", "message": "slow down"}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", **FAILED}, FailureKind.RATE_LIMITED),
        ({"type": "error", "error": FAILED}, FailureKind.RATE_LIMITED),
        ({"type": "response.failed", "response": {"status": "failed", "error": FAILED}}, FailureKind.RATE_LIMITED),
        ({"type": "response.failed", "response": {"status": "failed", "error": None}}, FailureKind.SERVER),
        ({"type": "response.completed", "response": {"status": "completed", "output": []}}, FailureKind.MALFORMED),
        ({"type": "response.completed"}, FailureKind.MALFORMED),
        ({"nothing": 1}, FailureKind.MALFORMED),
    ],
)
def test_failures_of_a_provider_are_told_apart(event, kind):
    adapter = adapter_for(Surface.RESPONSES, Kind.RESPONSES)
    stream = adapter.stream(Call(Surface.RESPONSES, {}, stream=True), target_at(kind=Kind.RESPONSES))
    with pytest.raises(UpstreamFailure) as failed:
        stream.feed(sse(event, done=False))
    assert failed.value.kind is kind


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (404, {"message": "Item with id 'msg_1' not found. Items are not persisted."}, FailureKind.BAD_REQUEST),
        (404, {"message": "Item with id 'rs_1' not found. Items are not persisted."}, FailureKind.REFUSED),
        (400, {"message": "Previous response with id 'r' not found."}, FailureKind.BAD_REQUEST),
        (404, {"message": "The model `gpt-9` does not exist", "code": "model_not_found"}, FailureKind.MODEL_GONE),
        (400, {"message": "could not be verified", "code": "invalid_encrypted_content"}, FailureKind.REFUSED),
        (400, {"message": "too long", "code": "context_length_exceeded"}, FailureKind.TOO_LONG),
    ],
)
def test_errors_tell_what_is_not_kept_from_a_model_that_is_gone(status, error, kind):
    content = orjson.dumps({"error": {"type": "invalid_request_error", **error}})
    assert adapter_for(Surface.RESPONSES, Kind.RESPONSES).failure(status, {}, content).kind is kind


def test_reasoning_that_cannot_be_read_is_left_out_when_asked_again():
    """With the ids, by which OpenAI would want the reasoning of a call."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "4"}
    body = {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, call, output]}
    adapter, target = adapter_for(Surface.RESPONSES, Kind.RESPONSES), target_at(kind=Kind.RESPONSES)
    request = adapter.request(Call(Surface.RESPONSES, body), target, "k", refused=("reasoning_history",))
    left = {name: value for name, value in call.items() if name != "id"}
    assert orjson.loads(request.content)["input"] == [left, output]


@pytest.mark.parametrize(
    "answer",
    [{"output": [], "status": "completed"}, {"output": [], "status": "queued"}, {"output": None}, {"status": "failed"}],
)
def test_an_answer_with_nothing_in_it_is_a_failure(answer):
    with pytest.raises(UpstreamFailure):
        adapter_for(Surface.RESPONSES, Kind.RESPONSES).answer(
            target_at(kind=Kind.RESPONSES), "application/json", orjson.dumps(answer), {}
        )


def test_a_whole_answer_is_the_last_event_or_the_items_that_were_done():
    assembler = ResponseAssembler()
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    for event in (
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": None}},
    ):
        assembler.add(event)
    assert assembler.answer(None) == {"object": "response", "id": "r", "status": "completed", "output": [item]}
