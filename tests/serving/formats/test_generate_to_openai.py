import pytest
from google.genai import types as google

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Facts
from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

ASK = {"role": "user", "parts": [{"text": "hi"}]}


def request(*contents, **fields):
    return GENERATE_TO_OPENAI.request({"contents": list(contents) or [ASK], **fields})


def sampling(**config):
    return {k: v for k, v in request(generationConfig=config).items() if k != "messages"}


def test_a_whole_conversation():
    sent = request(
        {
            "role": "user",
            "parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "iVBO-_=="}}],
        },
        {
            "role": "model",
            "parts": [
                {"text": "thinking", "thought": True},
                {"text": "Let me see", "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "weather", "args": {"city": "Bern"}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "weather", "args": {"city": "Basel"}}},
                {"functionCall": {"name": "now", "id": "x"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"output": "sunny"}}},
                {"functionResponse": {"name": "weather", "response": {"c": 7}}},
                {"functionResponse": {"name": "now", "id": "x", "response": {}}},
                {"text": "so?"},
            ],
        },
        system_instruction={"parts": [{"text": "Be brief."}, {"text": "In German."}]},
    )
    function = {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief.\n\nIn German."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO+/=="}},
            ],
        },
        {
            "role": "assistant",
            "content": "Let me see",
            "tool_calls": [
                {"id": "call_1_0", "type": "function", "function": function},
                {"id": "call_1_1", "type": "function", "function": function | {"arguments": '{"city":"Basel"}'}},
                {"id": "x", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1_0", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_1_1", "content": '{"c":7}'},
        {"role": "tool", "tool_call_id": "x", "content": "{}"},
        {"role": "user", "content": "so?"},
    ]


@pytest.mark.parametrize("contents", ["hi", ASK, {"parts": {"text": "hi"}}, [{"parts": [{"text": "hi"}]}], ["hi"]])
def test_contents_may_be_short(contents):
    sent = GENERATE_TO_OPENAI.request({"contents": contents, "systemInstruction": "s"})
    assert sent["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]


def test_sampling_is_said_in_openais_words():
    sent = sampling(
        temperature=0.5,
        topP=0.9,
        top_k=40,
        maxOutputTokens=80,
        seed=7,
        candidateCount=2,
        presencePenalty=0.1,
        frequencyPenalty=0.2,
        stopSequences=["END"],
        responseLogprobs=True,
        logprobs=3,
        thinkingConfig={"thinkingBudget": 5000, "includeThoughts": True},
        responseModalities=["TEXT"],
        mediaResolution="MEDIA_RESOLUTION_LOW",
    )
    assert sent == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 80,
        "seed": 7,
        "n": 2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["END"],
        "logprobs": True,
        "top_logprobs": 3,
        "reasoning_effort": "medium",
    }


def schema(value):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": value}}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"candidateCount": 1, "stopSequences": [], "temperature": None}, {}),
        ({"responseMimeType": "text/plain"}, {}),
        ({"responseMimeType": "application/json"}, {"response_format": {"type": "json_object"}}),
        (
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING", "format": "enum", "enum": ["a"]},
            },
            schema({"type": "string", "enum": ["a"]}),
        ),
        (
            {"response_mime_type": "application/json", "response_json_schema": {"type": "object", "$defs": {}}},
            schema({"type": "object", "$defs": {}}),
        ),
        ({"thinkingConfig": {"thinkingLevel": "HIGH"}}, {"reasoning_effort": "high"}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, {"reasoning_effort": "none"}),
        ({"thinkingConfig": {"thinkingBudget": -1}}, {}),
    ],
)
def test_generation_config(config, expected):
    assert sampling(**config) == expected


def test_googles_schemas_become_json_schemas():
    parameters = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": "1"},
            "any": {"anyOf": [{"type": "NUMBER"}], "nullable": True},
        },
        "required": ["type"],
        "propertyOrdering": ["type", "tags"],
    }
    google.Schema.model_validate(parameters | {"properties": {}})
    tool = {"functionDeclarations": [{"name": "f", "description": "d", "parameters": parameters}]}
    (sent,) = request(tools=[tool])["tools"]
    assert sent["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["a", None]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "any": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "required": ["type"],
    }


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({}, None, ["f", "g"]),
        ({"mode": "AUTO"}, None, ["f", "g"]),
        ({"mode": "any"}, "required", ["f", "g"]),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, "required", ["g"]),
        ({"mode": "VALIDATED", "allowed_function_names": ["g"]}, None, ["g"]),
        ({"mode": "NONE"}, "none", ["f", "g"]),
    ],
)
def test_tool_choice(calling, choice, names):
    declarations = [{"name": "f", "parametersJsonSchema": {"type": "object"}}, {"name": "g"}]
    sent = request(tools=[{"function_declarations": declarations}], tool_config={"function_calling_config": calling})
    assert sent.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in sent["tools"]] == names


def test_harmless_fields_are_left_out():
    assert request(safetySettings=[{}], labels={}, model="auto", store=False) == request()


def part(**fields):
    return {"contents": [{"role": "user", "parts": [fields]}]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"new_field": 1}, "newField"),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": "x"}}}, "generationConfig.thinkingConfig"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"function_declarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        (
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "SOME"}},
            },
            "toolConfig.functionCallingConfig.mode",
        ),
        ({"contents": 3}, "contents"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": "user", "parts": [3]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "user", "parts": [{"text": 3}]}]}, "contents[0].parts[0].text"),
        (part(executableCode={}), "contents[0].parts[0].executableCode"),
        (part(inlineData={"mimeType": "video/mp4", "data": "aa"}), "contents[0].parts[0].inlineData.mimeType"),
        (part(fileData={"fileUri": "https://youtu.be/x"}), "contents[0].parts[0].fileData"),
        (part(functionResponse={"name": "f", "response": {}}), "contents[0].parts[0].functionResponse.name"),
        (
            part(functionResponse={"name": "f", "id": "1", "parts": [{"inlineData": {"data": "aa"}}]}),
            "contents[0].parts[0].functionResponse.parts[0].inlineData.mimeType",
        ),
        (
            {"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}},
            "systemInstruction",
        ),
    ],
)
def test_what_cannot_be_said_is_named(body, param):
    with pytest.raises(InvalidRequestError, match="'") as caught:
        GENERATE_TO_OPENAI.request({"contents": [ASK], **body})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            {"fileData": {"fileUri": "https://a.org/b.jpg"}},
            {"type": "image_url", "image_url": {"url": "https://a.org/b.jpg"}},
        ),
        (
            {"inlineData": {"mimeType": "audio/mpeg", "data": "UklG"}},
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
    ],
)
def test_media(sent, expected):
    assert request({"role": "user", "parts": [sent]})["messages"][0]["content"] == [expected]


def completion(message, finish_reason="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason, **fields}
    return {"id": "c1", "model": "gpt-4o", "choices": [choice]}


def generated(*args, **fields):
    answer = GENERATE_TO_OPENAI.answer(completion(*args, **fields))
    return google.GenerateContentResponse.model_validate(answer)


def call(arguments, index=None, **fields):
    one = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}, **fields}
    return one if index is None else one | {"index": index}


def test_an_answer_is_a_response():
    answer = generated({"content": "yes", "reasoning_content": "hm"})
    thought, text = answer.candidates[0].content.parts
    assert (thought.text, thought.thought, text.text) == ("hm", True, "yes")
    assert (answer.text, answer.response_id, answer.model_version) == ("yes", "c1", "gpt-4o")
    assert answer.candidates[0].finish_reason is google.FinishReason.STOP


def test_tool_calls_are_function_calls():
    extra = {"google": {"thought_signature": "c2ln"}}
    answer = generated({"content": None, "tool_calls": [call('{"a": 1}', extra_content=extra)]}, "tool_calls")
    (part,) = answer.candidates[0].content.parts
    assert (part.function_call.id, part.function_call.name, part.function_call.args) == ("call_1", "f", {"a": 1})
    assert part.thought_signature == b"sig"
    assert answer.candidates[0].finish_reason is google.FinishReason.STOP


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("length", "MAX_TOKENS"), ("content_filter", "SAFETY"), ("eos", "OTHER"), (None, "STOP")],
)
def test_finish_reasons(reason, expected):
    assert generated({"content": "a"}, reason).candidates[0].finish_reason.value == expected


def test_a_refusal_is_text():
    assert generated({"content": None, "refusal": "I won't."}).text == "I won't."


def test_logprobs():
    """(-1 - 0.5) / 2 = -0.75."""
    tokens = [
        {"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "b", "logprob": -2.0}]},
        {"token": "c", "logprob": -0.5, "top_logprobs": []},
    ]
    candidate = generated({"content": "ac"}, logprobs={"content": tokens}).candidates[0]
    assert candidate.avg_logprobs == -0.75
    assert [one.token for one in candidate.logprobs_result.chosen_candidates] == ["a", "c"]
    assert candidate.logprobs_result.top_candidates[0].candidates[0].log_probability == -2.0


@pytest.mark.parametrize(("arguments", "message"), [("{", "not valid JSON"), ("[1]", "list as the arguments")])
def test_arguments_that_are_none_are_the_models_failure(arguments, message):
    with pytest.raises(UpstreamFailure, match=message) as caught:
        generated({"tool_calls": [call(arguments)]})
    assert caught.value.kind is FailureKind.MALFORMED


def stream(*chunks):
    translation = GENERATE_TO_OPENAI.stream()
    events = [event for chunk in chunks for event in translation.translate(chunk)]
    events += translation.end(Facts())
    return [google.GenerateContentResponse.model_validate(event) for event in events]


def chunk(finish_reason=None, index=0, **delta):
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c1", "model": "gpt-4o", "choices": [choice]}


def test_a_stream_is_responses():
    """The role, a piece of a call and the counts say nothing to Google's clients: 3 events of 7 chunks."""
    events = stream(
        chunk(role="assistant", content=""),
        chunk(reasoning="hm"),
        chunk(content="yes"),
        chunk(tool_calls=[call('{"a"', index=0)]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}]),
        chunk("tool_calls"),
        {"id": "c1", "choices": [], "usage": {}},
    )
    assert len(events) == 3
    assert (events[0].candidates[0].content.parts[0].thought, events[1].text) == (True, "yes")
    assert events[2].function_calls[0].args == {"a": 1}
    assert [event.candidates[0].finish_reason for event in events[:2]] == [None, None]
    assert events[2].candidates[0].finish_reason is google.FinishReason.STOP


def test_a_repeated_end_is_said_once():
    events = stream(chunk(tool_calls=[call("{}", index=0)]), chunk("tool_calls"), chunk("tool_calls"))
    assert [len(event.function_calls) for event in events] == [1]


def test_calls_of_a_stream_that_gave_no_reason_are_not_lost():
    (event,) = stream(chunk(tool_calls=[call("{}", index=0)]))
    assert event.function_calls[0].name == "f"


def test_choices_are_candidates():
    events = stream(chunk(content="a"), chunk(content="b", index=1), chunk("stop", index=1), chunk("length"))
    assert [(one.candidates[0].index, one.candidates[0].finish_reason) for one in events] == [
        (0, None),
        (1, None),
        (1, google.FinishReason.STOP),
        (0, google.FinishReason.MAX_TOKENS),
    ]
