import json

import pytest
from google.genai import types as google
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Facts
from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI

USER = {"role": "user", "content": "hi"}
PIXEL = "data:image/png;base64,iVBORw=="
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "of a city", "parameters": {"type": "object"}, "strict": True},
}


def request(*messages, **fields):
    return CHAT_TO_GEMINI.request({"messages": list(messages) or [USER], **fields})


def config(**fields):
    return request(**fields).get("generationConfig")


def call(identifier="call_1", arguments='{"city": "Bern"}', **fields):
    return {"id": identifier, "type": "function", "function": {"name": "weather", "arguments": arguments}, **fields}


def test_a_whole_conversation():
    sent = request(
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call(), call("call_2", "")]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"c": 7}'},
        {"role": "tool", "tool_call_id": "call_2", "content": "sunny"},
        {"role": "developer", "content": [{"type": "text", "text": "In German."}]},
        {"role": "user", "content": "so?", "name": "ann"},
        tools=[TOOL],
    )
    assert sent == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In German."}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}],
            },
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Bern"}}},
                    {"functionCall": {"id": "call_2", "name": "weather", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "call_1", "name": "weather", "response": {"c": 7}}},
                    {"functionResponse": {"id": "call_2", "name": "weather", "response": {"output": "sunny"}}},
                ],
            },
            {"role": "user", "parts": [{"text": "so?"}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "of a city", "parametersJsonSchema": {"type": "object"}}
                ]
            }
        ],
    }
    for content in sent["contents"]:
        google.Content.model_validate(content)
    google.Tool.model_validate(sent["tools"][0])


def test_sampling_is_said_in_googles_words():
    sent = config(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_tokens=100,
        max_completion_tokens=80,
        seed=7,
        n=2,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop="END",
        logprobs=True,
        top_logprobs=3,
        reasoning_effort="low",
    )
    assert sent == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 80,
        "seed": 7,
        "candidateCount": 2,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "logprobs": 3,
        "thinkingConfig": {"thinkingLevel": "LOW"},
    }
    google.GenerationConfig.model_validate(sent)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"n": 1, "logprobs": False, "temperature": None, "stop": None}, None),
        ({"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
        ({"reasoning": {"enabled": False}}, {"thinkingConfig": {"thinkingBudget": 0}}),
        ({"reasoning": {"effort": "high"}}, {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}),
        ({"reasoning": {"max_tokens": 9, "exclude": True}}, {"thinkingConfig": {"thinkingBudget": 9}}),
        ({"temperature": 0}, {"temperature": 0}),
    ],
)
def test_generation_config(fields, expected):
    assert config(**fields) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        (None, None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tool_choice(choice, expected):
    sent = request(tools=[TOOL], tool_choice=choice).get("toolConfig")
    assert sent == (None if expected is None else {"functionCallingConfig": expected})
    if sent:
        google.ToolConfig.model_validate(sent)


def test_a_choice_without_tools_says_nothing():
    assert request(tool_choice="none", parallel_tool_calls=False, tools=[]) == request()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.org/b.png?x=1", "detail": "low"}},
            {"fileData": {"fileUri": "https://a.org/b.png?x=1", "mimeType": "image/png"}},
        ),
        ({"type": "image_url", "image_url": "https://a.org/b"}, {"fileData": {"fileUri": "https://a.org/b"}}),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "UklG"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"text": "a"}),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}},
            {"inlineData": {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}},
        ),
    ],
)
def test_parts(part, expected):
    sent = request({"role": "user", "content": [part]})["contents"][0]["parts"]
    assert sent == [expected]
    google.Part.model_validate(expected)


def test_only_instructions_are_asked_as_the_users():
    assert request({"role": "system", "content": "hi"}) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_signatures_go_back_to_where_they_came_from():
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    sent = request(
        {"role": "assistant", "content": "a", "tool_calls": [call(**extra)], "reasoning_content": "hm", **extra}
    )
    text, called = sent["contents"][0]["parts"]
    assert text == {"text": "a", "thoughtSignature": "c2ln"}
    assert called["thoughtSignature"] == "c2ln"


def test_a_result_may_have_an_image():
    content = [{"type": "text", "text": "a map"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    sent = request(
        {"role": "assistant", "tool_calls": [call()]}, {"role": "tool", "tool_call_id": "call_1", "content": content}
    )
    result = sent["contents"][1]["parts"][0]["functionResponse"]
    assert result["response"] == {"output": "a map"}
    google.FunctionResponse.model_validate(result)
    assert result["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]


def test_googles_own_fields_go_along_and_harmless_ones_do_not():
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    sent = request(
        safety_settings=safety, user="u", metadata={}, store=True, stream=True, stream_options={}, model="auto"
    )
    assert sent == request() | {"safetySettings": safety}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"verbosity": "low"}, "verbosity"),
        ({"min_p": 0.1}, "min_p"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": "any", "tools": [TOOL]}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": "json"}, "response_format"),
        ({"reasoning_effort": "most"}, "reasoning_effort"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "input_text"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call(arguments="{")]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call(arguments="[1]")]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
    ],
)
def test_what_cannot_be_said_is_named(fields, param):
    with pytest.raises(InvalidRequestError, match="'") as caught:
        CHAT_TO_GEMINI.request({"messages": [USER], **fields})
    assert caught.value.param == param
    assert param in caught.value.message


def candidate(*parts, reason=None, index=0, **fields):
    one = {"content": {"parts": list(parts), "role": "model"}, "index": index, **fields}
    return one | ({"finishReason": reason} if reason else {})


def response(*candidates, **fields):
    return {"candidates": list(candidates), "modelVersion": "gemini-3-pro", "responseId": "r1"} | fields


def message_of(*parts, reason="STOP"):
    completion = CHAT_TO_GEMINI.answer(response(candidate(*parts, reason=reason)))
    return ChatCompletion.model_validate(completion).choices[0]


def test_an_answer_is_a_chat_completion():
    """20 tokens of answer and 30 of thought are 50 of completion; 100 + 50 = 150."""
    counts = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
    }
    answer = response(
        candidate({"text": "hm", "thought": True}, {"text": "yes"}, {"text": "!"}, reason="STOP"), usageMetadata=counts
    )
    completion = ChatCompletion.model_validate(CHAT_TO_GEMINI.answer(answer))
    choice = completion.choices[0]
    assert (completion.id, completion.model) == ("r1", "gemini-3-pro")
    assert (choice.message.content, choice.message.reasoning_content) == ("yes!", "hm")
    assert (choice.finish_reason, choice.native_finish_reason) == ("stop", "STOP")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 50, 150)
    assert usage.prompt_tokens_details.cached_tokens == 60
    assert usage.completion_tokens_details.reasoning_tokens == 30


def test_calls_have_ids_of_their_own():
    now = {"functionCall": {"name": "now"}, "thoughtSignature": "c2ln"}
    choice = message_of(
        now, {"functionCall": {"name": "now"}}, {"functionCall": {"name": "f", "id": "x", "args": {"a": 1}}}
    )
    first, second, third = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert first.id != second.id
    assert (third.id, third.function.arguments) == ("x", '{"a":1}')
    assert first.function.arguments == "{}"
    assert first.extra_content == {"google": {"thought_signature": "c2ln"}}
    assert first.id == message_of(now).message.tool_calls[0].id  # the same each time it is read


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("OTHER", "stop"),
    ],
)
def test_finish_reasons(reason, expected):
    assert message_of({"text": "a"}, reason=reason).finish_reason == expected


def test_a_blocked_prompt_is_a_refusal():
    completion = CHAT_TO_GEMINI.answer({"promptFeedback": {"blockReason": "SAFETY"}})
    choice = ChatCompletion.model_validate(completion).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", None)
    assert choice.message.refusal == "the provider blocked the prompt: SAFETY"


def test_drawn_images_are_where_openrouter_has_them():
    choice = message_of({"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}})
    assert choice.message.images == [{"type": "image_url", "image_url": {"url": PIXEL}}]


def test_logprobs():
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }
    completion = CHAT_TO_GEMINI.answer(response(candidate({"text": "éb"}, reason="STOP", logprobsResult=result)))
    first, second = ChatCompletion.model_validate(completion).choices[0].logprobs.content
    assert (first.token, first.logprob, first.bytes) == ("é", -0.5, [195, 169])
    assert [top.token for top in first.top_logprobs] == ["é"]
    assert (second.logprob, second.top_logprobs) == (-9999.0, [])


def stream(*events):
    translation = CHAT_TO_GEMINI.stream()
    chunks = [chunk for event in events for chunk in translation.translate(event)]
    chunks += translation.end(Facts())
    return [ChatCompletionChunk.model_validate(chunk) for chunk in chunks]


def test_a_stream_is_chunks():
    chunks = stream(
        response(candidate({"text": "hm", "thought": True})),
        response(candidate({"text": "ye"}), usageMetadata={"promptTokenCount": 3}),
        response(candidate({"text": "s"}, {"functionCall": {"name": "f"}}, reason="STOP")),
        response(candidate({"functionCall": {"name": "g"}}, reason="STOP")),
        response(usageMetadata={"promptTokenCount": 3}),
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert [delta.role for delta in deltas] == ["assistant", None, None, None, None]
    assert deltas[0].reasoning_content == "hm"
    assert [delta.content for delta in deltas] == [None, "ye", "s", None, None]
    assert [(one.index, one.function.name) for one in deltas[2].tool_calls + deltas[3].tool_calls] == [
        (0, "f"),
        (1, "g"),
    ]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "tool_calls"]
    assert {chunk.id for chunk in chunks} == {"r1"}


def test_every_choice_has_its_own_end():
    chunks = stream(
        response(candidate({"text": "a"}), candidate({"text": "b"}, index=1, reason="MAX_TOKENS")),
        response(candidate(reason="STOP")),
    )
    assert [(one.choices[0].index, one.choices[0].finish_reason) for one in chunks] == [
        (0, None),
        (1, None),
        (0, "stop"),
        (1, "length"),
    ]


def test_a_blocked_stream_is_a_refusal():
    (chunk,) = stream({"promptFeedback": {"blockReason": "OTHER"}, "responseId": "r"})
    assert chunk.choices[0].finish_reason == "content_filter"
    assert chunk.choices[0].delta.refusal == "the provider blocked the prompt: OTHER"


def test_a_stream_without_ids_makes_one_up():
    first, last = stream({"candidates": [candidate({"text": "a"}, reason="STOP")]})
    assert first.id == last.id
    assert json.loads(first.model_dump_json())["object"] == "chat.completion.chunk"
