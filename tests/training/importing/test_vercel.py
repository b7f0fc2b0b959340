"""Spans of the Vercel AI SDK: the call counts once, in both generations of names."""

import json

import pytest

from router_model.training.importing.adapters import ADAPTERS, NOWHERE

convert = ADAPTERS["vercel"].convert
TIMES = {"startTimeUnixNano": "1738312200000000000", "endTimeUnixNano": "1738312201500000000"}
ASKED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
]
OUTER = {"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o", "ai.prompt": '{"prompt": "Hi"}'}
INNER = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-4o",
    "ai.model.provider": "openai.chat",
    "ai.prompt.messages": json.dumps(ASKED),
    "ai.response.model": "gpt-4o-2024-11-20",
    "ai.response.text": "secret",
    "ai.telemetry.metadata.sessionId": "s1",
    "ai.telemetry.metadata.userId": "secret",
    "ai.telemetry.metadata.score": 0.75,
    "ai.request.headers.authorization": "secret",
}
OF_TODAY = {"ai.usage.inputTokens": 8, "ai.usage.outputTokens": 5, "ai.usage.cachedInputTokens": 6}
BEFORE = {"ai.usage.promptTokens": 8, "ai.usage.completionTokens": 5}


def otlp(attributes):
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in attributes.items()]


@pytest.mark.parametrize("usage", [OF_TODAY, BEFORE, {"gen_ai.usage.input_tokens": 8, "gen_ai.usage.output_tokens": 5}])
def test_call_counts_once_and_not_again_as_its_outer_span(usage):
    spans = [{"name": "x", "attributes": otlp(attributes), **TIMES} for attributes in (OUTER, INNER | usage)]
    conversion = convert({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}, NOWHERE)
    (row,) = conversion.rows
    assert dict(conversion.skipped) == {"outer spans of the AI SDK": 1}
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "model": "gpt-4o-2024-11-20",
        "quality": 0.75,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": None,
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


def test_tool_calls_and_their_answers_become_those_of_openai():
    call = {"type": "tool-call", "toolCallId": "c1", "toolName": "add", "input": {"a": 1}}
    answer = {"type": "tool-result", "toolCallId": "c1", "toolName": "add", "output": {"type": "json", "value": 3}}
    asked = [{"role": "assistant", "content": [call]}, {"role": "tool", "content": [answer]}]
    (row,) = convert({"attributes": INNER | {"ai.prompt.messages": json.dumps(asked)}, **TIMES}, NOWHERE).rows
    assert row["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "content": '{"type": "json", "value": 3}', "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("ai.streamText", "outer spans of the AI SDK"),
        ("ai.embed.doEmbed", "embedding calls"),
        ("ai.toolCall", "spans of other operations"),
    ],
)
def test_other_spans_are_skipped_by_what_they_are(operation, what):
    conversion = convert({"attributes": INNER | {"ai.operationId": operation}, **TIMES}, NOWHERE)
    assert dict(conversion.skipped) == {what: 1}


def test_call_without_inputs_names_the_setting():
    inner = {key: value for key, value in INNER.items() if key != "ai.prompt.messages"}
    ((problem, _),) = convert({"attributes": inner, **TIMES}, NOWHERE).failed
    assert "recordInputs" in problem.advice
