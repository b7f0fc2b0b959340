import json
from dataclasses import replace
from hashlib import sha256

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic_examples import GPT, MESSAGES, chunk, chunks_as_bytes, final_message, parsed, through
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.formats.openai.chat_format import OpenAIFormat
from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

PARAMS = TypeAdapter(CompletionCreateParamsNonStreaming)
EVENTS = TypeAdapter(RawMessageStreamEvent)
ADAPTER = Adapter(AnthropicFormat(), OpenAIFormat(), MESSAGES_TO_OPENAI)
HI = [{"role": "user", "content": "Hi"}]
WEATHER = {"name": "weather", "description": "Says it.", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "Rain."}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def translated(**body):
    request = MESSAGES_TO_OPENAI.request({"messages": HI, **body})
    PARAMS.validate_python({"model": "m", **request})
    return request


def messages_of(*messages, **body):
    return translated(messages=list(messages), **body)["messages"]


def test_system_is_the_first_message():
    marked = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}

    assert messages_of(*HI, system=[marked, {"type": "text", "text": "Be kind."}]) == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        *HI,
    ]


def test_instructions_in_the_middle_stay_there():
    assert messages_of(*HI, {"role": "system", "content": [{"type": "text", "text": "Stop."}]})[1] == {
        "role": "system",
        "content": "Stop.",
    }


def test_blocks_are_parts():
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BB"}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Long."}}
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    said = {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}}

    assert messages_of({"role": "user", "content": [said, IMAGE, url, pdf, text]}) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                IMAGE_PART,
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,BB"}},
                {"type": "text", "text": "Long."},
            ],
        }
    ]


def test_tools_at_work():
    """Each result is a message; its image, and what the user says, follow in one of the user's."""
    shown = {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "Map:"}, IMAGE]}
    failed = {"type": "tool_result", "tool_use_id": "t3", "content": "no such city", "is_error": True}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}

    assert messages_of(
        *HI,
        {"role": "assistant", "content": [thought, {"type": "text", "text": "I look."}, USE]},
        {"role": "user", "content": [RESULT, shown, failed, {"type": "text", "text": "And?"}]},
    )[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "t2", "content": "Map:"},
        {"role": "tool", "tool_call_id": "t3", "content": "Error: no such city"},
        {"role": "user", "content": [IMAGE_PART, {"type": "text", "text": "And?"}]},
    ]


def test_reasoning_goes_back_while_tools_are_at_work():
    """DeepSeek asks for it then, and for none of earlier turns; a Claude model's is for that model alone."""
    ours = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    turn = {"role": "assistant", "content": [ours, USE]}
    result = {"role": "user", "content": [RESULT]}
    said = {"role": "assistant", "content": [{"type": "text", "text": "Rain."}]}

    now = messages_of(*HI, turn, result)
    later = messages_of(*HI, turn, result, said, {"role": "user", "content": "Thanks."})

    assert now[1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in later[1]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 9, "temperature": 0.5, "top_p": 0.9}, {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9}),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
        ({"metadata": {"user_id": "u1"}}, {"user": "u1"}),
        ({"metadata": {}, "service_tier": "auto", "stream": True, "cache_control": {"type": "ephemeral"}}, {}),
        ({"context_management": {"edits": []}, "container": None}, {}),
        ({"thinking": {"type": "disabled"}}, {}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 10_000}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 15_000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"tools": [], "tool_choice": {"type": "auto"}}, {}),
        ({"new_field": {"a": [1]}}, {}),
        ({"metadata": {"user_id": "x" * 65}}, {"user": sha256(b"x" * 65).hexdigest()}),
    ],
)
def test_fields_of_a_body(body, expected):
    request = translated(**body)

    request.pop("max_tokens", None)
    assert request == {"messages": HI, **{k: v for k, v in expected.items() if k != "max_tokens"}}


def test_schema_is_a_response_format():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}

    request = translated(output_config={"format": {"type": "json_schema", "schema": schema}})

    assert request["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://us.openai.azure.com/v1", "max_completion_tokens"),
        ("https://api.mistral.ai/v1", "max_tokens"),
    ],
)
def test_limit_is_named_as_the_provider_knows_it(base_url, name):
    """OpenAI's reasoning models refuse the older name, Mistral the newer one."""
    target = replace(GPT, provider=replace(GPT.provider, base_url=base_url))
    call = Call(Surface.MESSAGES, {"messages": HI, "max_tokens": 9})

    sent = json.loads(ADAPTER.request(call, target, None).content)

    assert {key: sent[key] for key in sent if key.startswith("max_")} == {name: 9}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {}),
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            {
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_tools_and_the_choice(choice, expected):
    request = translated(tools=[{**WEATHER, "strict": True}], tool_choice=choice)

    function = {"name": "weather", "description": "Says it.", "parameters": WEATHER["input_schema"], "strict": True}
    assert request == {"messages": HI, "tools": [{"type": "function", "function": function}], **expected}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"container": "c1"}, "container"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "new"}}, "tool_choice"),
        ({"output_config": {"format": {"type": "regex"}}}, "output_config"),
        ({"system": [IMAGE]}, "system"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": [IMAGE]}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
            "messages",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url"}}]}]},
            "messages",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(body, param):
    with pytest.raises(InvalidRequestError, match=param) as caught:
        MESSAGES_TO_OPENAI.request({"messages": HI, **body})

    assert caught.value.param == param


def completion(finish="tool_calls", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    usage = {
        "prompt_tokens": 650,
        "completion_tokens": 90,
        "total_tokens": 740,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5.5", "choices": [choice]} | {
        "usage": usage
    }


def call(arguments, id_="t1"):
    return {"id": id_, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def test_answer_is_a_message():
    """650 tokens in, 600 of them from the cache, are 50 that no cache knows of."""
    whole = completion(content="I look.", reasoning_content="Hm.", tool_calls=[call('{"city": "Oslo"}')])

    answer, facts = ADAPTER.answer(GPT, "application/json", json.dumps(whole).encode(), {})

    message = Message.model_validate(answer, strict=True)
    assert answer["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        USE,
    ]
    assert (message.stop_reason, message.model, message.id) == ("tool_use", "openai/gpt", "c1")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (50, 600)
    assert message.usage.output_tokens_details.thinking_tokens == 20
    assert answer["usage"]["cost"] is None
    assert facts.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("finish", "message", "stop_reason"),
    [
        ("stop", {"content": "Hi"}, "end_turn"),
        ("length", {"content": "Hi"}, "max_tokens"),
        ("content_filter", {}, "refusal"),
        ("stop", {"refusal": "No."}, "refusal"),
        ("stop", {"tool_calls": [call("")]}, "tool_use"),
        ("eos", {"content": "Hi"}, "end_turn"),
    ],
)
def test_stop_reasons(finish, message, stop_reason):
    answer = MESSAGES_TO_OPENAI.answer(completion(finish, **message))

    assert answer["stop_reason"] == stop_reason


def test_half_a_call_is_none():
    answer = MESSAGES_TO_OPENAI.answer(completion("length", content="I", tool_calls=[call('{"ci')]))

    assert answer["content"] == [{"type": "text", "text": "I"}]


@pytest.mark.parametrize("arguments", ['{"ci', "[1]"])
def test_call_with_arguments_that_are_no_object_is_malformed(arguments):
    with pytest.raises(UpstreamFailure, match="not a JSON object") as caught:
        MESSAGES_TO_OPENAI.answer(completion(tool_calls=[call(arguments)]))

    assert caught.value.kind is FailureKind.MALFORMED


def test_thinking_that_claude_signed_keeps_its_signature():
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}, {"type": "reasoning.summary"}]

    answer = MESSAGES_TO_OPENAI.answer(completion("stop", content="Hi", reasoning="Hm.", reasoning_details=details))

    assert answer["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def piece(index, arguments, **more):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more.pop("function", {})}, **more}]}


CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Let me "}),
    chunk({"reasoning_content": "see."}),
    chunk({"content": "I will "}),
    chunk({"content": "look."}),
    chunk(piece(0, "", id="t1", type="function", function={"name": "weather"})),
    chunk(piece(0, '{"city": ')),
    chunk(piece(1, "", id="t2", type="function", function={"name": "clock"})),
    chunk(piece(0, '"Oslo"}')),
    chunk({}, "tool_calls"),
    {
        **chunk({}),
        "choices": [],
        "usage": {"prompt_tokens": 650, "completion_tokens": 90, "prompt_tokens_details": {"cached_tokens": 600}},
    },
)
"""The pieces of two calls come in turn."""


def test_stream_is_events_that_the_official_client_puts_together():
    sent, facts = through(ADAPTER, MESSAGES, GPT, chunks_as_bytes(CHUNKS), {"openrouter_metadata": {}})

    message = final_message(sent)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (message.content[0].thinking, message.content[1].text) == ("Let me see.", "I will look.")
    assert [(block.id, block.name, block.input) for block in message.content[2:]] == [
        ("t1", "weather", {"city": "Oslo"}),
        ("t2", "clock", {}),
    ]
    assert (message.stop_reason, message.model) == ("tool_use", "openai/gpt")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        50,
        600,
        90,
    )
    written = parsed(sent)
    assert "cost" in written[-2][1]["usage"]
    assert "openrouter_metadata" in written[-2][1]
    assert "[DONE]" not in b"".join(sent).decode()
    assert facts.finish_reason == "tool_calls"
    for _, event in written:
        EVENTS.validate_python(event, strict=True)


def test_every_block_that_starts_stops_once_and_in_its_time():
    events = translate_all(CHUNKS)

    starts = [event["index"] for event in events if event["type"] == "content_block_start"]
    stops = [event["index"] for event in events if event["type"] == "content_block_stop"]
    assert starts == [0, 1, 2, 3]
    assert sorted(stops) == starts
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]


def test_text_after_a_tool_call_is_a_block_of_its_own():
    events = translate_all([chunk(piece(0, "{}", id="t1")), chunk({"content": "Done."}), chunk({}, "stop")])

    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_refusal_and_what_comes_after_the_finish():
    events = translate_all([chunk({"refusal": "No."}), chunk({}, "stop"), chunk({"content": "x"}, "stop")])

    assert events[2]["delta"] == {"type": "text_delta", "text": "No."}
    assert [event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta"] == ["refusal"]


def test_signature_closes_its_thinking():
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}]

    events = translate_all(
        [chunk({"reasoning": "Hm."}), chunk({"reasoning_details": details}), chunk({"content": "A"})]
    )

    assert [event.get("delta", {}).get("type") for event in events[2:5]] == ["thinking_delta", "signature_delta", None]
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1]


def test_other_choices_are_left_out():
    other = chunk({"content": "B"})
    other["choices"][0]["index"] = 1

    assert [event["type"] for event in translate_all([other])] == ["message_start"]


def translate_all(chunks):
    translation = MESSAGES_TO_OPENAI.stream()
    events = [one for chunk in chunks for one in translation.translate(chunk)]
    return [*events, *translation.end(Facts())]
