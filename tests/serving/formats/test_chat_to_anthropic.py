import json

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic_examples import (
    CHAT,
    CLAUDE,
    MESSAGE_START,
    STREAM,
    events_as_bytes,
    final_completion,
    parsed,
    through,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.format import Facts
from router_model.serving.formats.openai.chat_format import OpenAIFormat
from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC

PARAMS = TypeAdapter(MessageCreateParamsNonStreaming)
ADAPTER = Adapter(OpenAIFormat(), AnthropicFormat(), CHAT_TO_ANTHROPIC)
HI = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Says it.", "parameters": {"type": "object"}},
}


def translated(**body):
    request = CHAT_TO_ANTHROPIC.request({"messages": HI, **body})
    PARAMS.validate_python({"model": "m", "max_tokens": 9, **request})
    return request


def messages_of(*messages):
    return translated(messages=list(messages))["messages"]


def test_instructions_are_system_wherever_they_stand():
    request = translated(
        messages=[{"role": "system", "content": "Be brief."}, *HI, {"role": "developer", "content": "Be kind."}]
    )

    assert request["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert request["messages"] == HI


def test_instructions_alone_are_a_message():
    assert translated(messages=[{"role": "system", "content": "Say hi."}]) == {
        "messages": [{"role": "user", "content": "Say hi."}]
    }


def test_images_and_files_are_blocks():
    content = [
        {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,SGk="}},
    ]

    assert messages_of({"role": "user", "content": content})[0]["content"] == [
        {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
    ]


def test_tool_calls_and_their_results():
    """Two results in a row and what the user says next are one message; ids keep to Anthropic's alphabet."""
    calls = [
        {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]

    assert messages_of(
        *HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "4"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "no"}], "is_error": True},
        {"role": "user", "content": "And?"},
    )[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_f_0", "content": "4"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_empty_texts_are_left_out():
    """Anthropic refuses them; an assistant's turn of nothing joins the two of the user."""
    assert messages_of(*HI, {"role": "assistant", "content": ""}, {"role": "user", "content": "there"}) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]}
    ]


def test_signed_thinking_goes_back():
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "eHg=", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "text": "of another model"},
    ]

    assert messages_of(*HI, {"role": "assistant", "content": "Yes.", "reasoning_details": details})[1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHg="},
        {"type": "text", "text": "Yes."},
    ]


def test_message_level_cache_control_is_on_its_last_block():
    [message] = messages_of({"role": "user", "content": "Hi", "cache_control": {"type": "ephemeral"}})

    assert message["content"] == [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 1.7, "top_p": 0.5, "top_k": 3}, {"temperature": 1.7, "top_p": 0.5, "top_k": 3}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"n": 1, "logprobs": False, "modalities": ["text"]}, {}),
        ({"store": True, "metadata": {"a": "b"}, "service_tier": "flex", "stream": True}, {}),
        ({"response_format": {"type": "text"}, "tools": [], "tool_choice": "auto"}, {}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (
            {"reasoning": {"effort": "high"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        ({"reasoning": {"max_tokens": 2000}}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ({"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}),
        ({"new_field": [1, {"a": None}]}, {"new_field": [1, {"a": None}]}),
    ],
)
def test_fields_of_a_body(body, expected):
    assert translated(**body) == {"messages": HI, **expected}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": False},
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_tool_choice(more, expected):
    request = translated(tools=[WEATHER], **more)

    assert request.get("tool_choice") == expected
    assert request["tools"] == [
        {"name": "weather", "description": "Says it.", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_allowed_tools_are_those_that_are_offered():
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}

    request = translated(tools=[WEATHER, other], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})

    assert [tool["name"] for tool in request["tools"]] == ["other"]
    assert request["tool_choice"] == {"type": "any"}


def test_tools_of_anthropics_own_pass():
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}

    assert translated(tools=[search])["tools"] == [search]


def test_strict_tools_and_schemas_are_closed_and_limits_described():
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "How many."},
            "minimum": {"type": "array", "items": {"type": "object", "properties": {}}},
        },
        "required": ["n"],
    }
    wanted = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": 'How many. {"minimum":1}'},
            "minimum": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": False}},
        },
        "required": ["n"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}

    request = translated(tools=[tool], response_format=format_, reasoning_effort="low")

    assert request["tools"] == [{"name": "f", "input_schema": wanted, "strict": True}]
    assert request["output_config"] == {"format": {"type": "json_schema", "schema": wanted}, "effort": "low"}


def test_any_json_object_is_a_forced_tool():
    request = translated(response_format={"type": "json_object"})

    assert request["tool_choice"]["name"] == JSON_TOOL
    assert [tool["name"] for tool in request["tools"]] == [JSON_TOOL]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"stop": ["\n"]}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"messages": [{"role": "user", "content": [3]}]}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
            "messages",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"arguments": "[1]"}}]}]},
            "messages",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "custom": {}}]}]}, "messages"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "json_object"}, "tools": [WEATHER]}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}},
                }
            },
            "response_format",
        ),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(body, param):
    with pytest.raises(InvalidRequestError, match=param) as caught:
        CHAT_TO_ANTHROPIC.request({"messages": HI, **body})

    assert caught.value.param == param


ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
        {"type": "text", "text": "I will "},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 600, "output_tokens": 90},
}


def test_answer_is_a_chat_completion():
    """Usage: 10 + 600 tokens in, 600 of them cached; (10 x 3 + 600 x 0.3 + 90 x 15) / 1e6 = 0.00156 USD."""
    answer, facts = ADAPTER.answer(CLAUDE, "application/json", json.dumps(ANSWER).encode(), {})

    ChatCompletion.model_validate(answer, strict=True)
    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("I will look.", "tool_calls")
    assert choice["message"]["reasoning_content"] == "Let me see."
    assert choice["message"]["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    ]
    assert answer["model"] == "anthropic/claude"
    assert answer["usage"]["prompt_tokens"] == 610
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 600
    assert answer["usage"]["cost"] == pytest.approx(0.00156)
    assert facts.finish_reason == "tool_use"


def test_an_answers_message_goes_back_as_it_was():
    """Thinking with its signature, text and calls; the two texts are one by then."""
    message = CHAT_TO_ANTHROPIC.answer(ANSWER)["choices"][0]["message"]

    text = {"type": "text", "text": "I will look."}
    assert messages_of(*HI, message)[1]["content"] == [ANSWER["content"][0], text, ANSWER["content"][3]]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(stop_reason, finish_reason):
    answer = CHAT_TO_ANTHROPIC.answer({**ANSWER, "content": [], "stop_reason": stop_reason})

    assert answer["choices"][0]["finish_reason"] == finish_reason
    assert answer["choices"][0]["message"]["content"] is None


def test_input_of_the_forced_tool_is_the_content():
    block = {"type": "tool_use", "id": "t", "name": JSON_TOOL, "input": {"a": 1}}

    [choice] = CHAT_TO_ANTHROPIC.answer({**ANSWER, "content": [block]})["choices"]

    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"a":1}', "stop")
    assert "tool_calls" not in choice["message"]


def test_stream_is_chunks_that_the_official_client_puts_together():
    """Calls are counted from 0; the one without arguments has the empty object. 650 tokens in, 90 out."""
    sent, facts = through(ADAPTER, CHAT, CLAUDE, events_as_bytes(STREAM))

    completion = final_completion(sent)
    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("I will look.", "tool_calls")
    assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls] == [
        ("toolu_1", "weather", '{"city": "Oslo"}'),
        ("toolu_2", "clock", "{}"),
    ]
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (650, 90)
    assert completion.model == "anthropic/claude"
    assert facts.cost_usd == pytest.approx(0.00171)
    *chunks, (_, done) = parsed(sent)
    assert done == "[DONE]"
    for _, one in chunks:
        ChatCompletionChunk.model_validate(one, strict=True)


def test_stream_tells_thinking_and_its_signature():
    chunks = translate_all(STREAM)

    deltas = [one["choices"][0]["delta"] for one in chunks]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Let me see."
    [details] = [delta["reasoning_details"] for delta in deltas if "reasoning_details" in delta]
    assert details == [
        {
            "type": "reasoning.text",
            "text": "Let me see.",
            "signature": "c2ln",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]


def test_stream_of_the_forced_tool_is_content():
    block = {"type": "tool_use", "id": "t", "name": JSON_TOOL, "input": {}}
    events = [
        MESSAGE_START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
    ]

    choices = [one["choices"][0] for one in translate_all(events)]

    assert "".join(choice["delta"].get("content", "") for choice in choices) == '{"a":1}'
    assert choices[-1]["finish_reason"] == "stop"


def test_stream_of_whole_blocks_says_them_too():
    """Some that speak Anthropic's format put all into the start of a block; tools of the server's own say nothing."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    redacted = {"type": "redacted_thinking", "data": "eHg="}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}},
        {"type": "content_block_start", "index": 1, "content_block": search},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"q":1}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": tool},
        {"type": "content_block_stop", "index": 2},
        {"type": "content_block_start", "index": 3, "content_block": redacted},
    ]

    deltas = [one["choices"][0]["delta"] for one in translate_all(events)]

    assert deltas[0] == {"content": "Hi"}
    assert deltas[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}
    assert deltas[2]["tool_calls"] == [{"index": 0, "function": {"arguments": '{"a":1}'}}]
    assert deltas[3]["reasoning_details"][0]["data"] == "eHg="
    assert len(deltas) == 4


def translate_all(events):
    translation = CHAT_TO_ANTHROPIC.stream()
    chunks = [one for event in events for one in translation.translate(event)]
    return [*chunks, *translation.end(Facts())]
