"""GenAI spans, flat and in OTLP's JSON, become rows."""

import json

import pytest

from training.importing.adapters import NOWHERE
from training.importing.adapters.otel import otel

MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 8,
    "gen_ai.input.messages": json.dumps(MESSAGES),
}
TIMES = {"startTimeUnixNano": "1738312200000000000", "endTimeUnixNano": 1738312201500000000}


def otlp(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [otlp(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes):
    return [{"key": key, "value": otlp(value)} for key, value in attributes.items()]


def span(**changes):
    return {"attributes": ATTRIBUTES | changes, **TIMES}


def messages_of(*given, **changes):
    (row,) = otel(span(**{"gen_ai.input.messages": list(given)}, **changes), NOWHERE).rows
    return row["messages"]


def test_span_becomes_a_row():
    (row,) = otel(span(**{"gen_ai.conversation.id": "s1", "server.port": 443}) | {"spanId": "b7"}, NOWHERE).rows
    assert {key: value for key, value in row.items() if value is not None} == {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": "gpt-4o",
        "input_tokens": 8,
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
        "extra": {"gen_ai.operation.name": "chat", "server.port": 443, "spanId": "b7"},
    }


def test_response_model_and_score_are_preferred_where_present():
    changes = {"gen_ai.response.model": "gpt-4o-mini", "gen_ai.evaluation.score.value": 0.5}
    (row,) = otel(span(**changes), NOWHERE).rows
    assert (row["model"], row["quality"]) == ("gpt-4o-mini", 0.5)


def test_a_bill_is_taken_and_counts_of_cached_tokens_are_kept():
    """Input tokens include cached ones, so the bill is what tells a warm call from a cold one."""
    changes = {"gen_ai.usage.cost": 0.0004, "gen_ai.usage.cache_read.input_tokens": 6}
    (row,) = otel(span(**changes), NOWHERE).rows
    assert (row["cost_usd"], row["input_tokens"]) == (0.0004, 8)
    assert row["extra"]["gen_ai.usage.cache_read.input_tokens"] == 6


def test_otlp_export_gives_the_same_rows_as_flat_spans():
    attributes = ATTRIBUTES | {"gen_ai.input.messages": MESSAGES, "a": 0.5, "b": [True, {"c": 1}]}
    flat = otel({"attributes": attributes, **TIMES}, NOWHERE).rows
    span = {"attributes": pairs(attributes), **TIMES}
    export = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": [span]}]}]}
    assert otel(export, NOWHERE).rows == otel(export["resourceSpans"][0], NOWHERE).rows == flat


def test_resource_is_kept_in_extra():
    resource = {"attributes": pairs({"service.name": "shop"})}
    rows = otel({"resource": resource, "scopeSpans": [{"spans": [span()]}]}, NOWHERE).rows
    assert rows[0]["extra"]["resource"] == {"service.name": "shop"}


def test_spans_of_other_operations_are_skipped_and_counted():
    others = [{"gen_ai.operation.name": "embeddings"}, {"gen_ai.operation.name": ["chat"]}]
    plain = {"attributes": {"http.method": "GET"}, **TIMES}
    part = {"scopeSpans": [{"spans": [span(), *(span(**other) for other in others), plain]}]}
    conversion = otel(part, NOWHERE)
    assert (len(conversion.rows), sum(conversion.skipped.values())) == (1, 3)


def test_model_without_an_operation_counts():
    assert len(otel(span(**{"gen_ai.operation.name": None}), NOWHERE).rows) == 1


def test_flat_record_without_attributes_is_read():
    record = ATTRIBUTES | {"start_time": "2025-01-31T09:30:00Z", "end_time": "2025-01-31T09:30:02Z"}
    (row,) = otel(record, NOWHERE).rows
    assert (row["latency_s"], row["timestamp"], row["model"]) == (2.0, "2025-01-31T09:30:00Z", "gpt-4o")


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"gen_ai.input.messages": None}, "gen_ai.input.messages", "got nothing, expected the chat messages"),
        ({"gen_ai.input.messages": "[oops"}, "gen_ai.input.messages", "got '[oops', expected a JSON list"),
        ({"gen_ai.input.messages": "[1]"}, "gen_ai.input.messages", "got '[1]', expected a JSON list of objects"),
    ],
)
def test_bad_span_fails_alone(changes, column, reason):
    conversion = otel({"scopeSpans": [{"spans": [span(**changes), span()]}]}, NOWHERE)
    ((problem, part),) = conversion.failed
    assert (problem.column, problem.reason, part) == (column, reason, span(**changes))
    assert len(conversion.rows) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"startTimeUnixNano": "soon"}, "got 'soon', expected nanoseconds since 1970"),
        ({"attributes": [{"value": 1}]}, 'got [{"value": 1}], expected a list of {"key": …, "value": …}'),
        ({"attributes": 3}, "got 3, expected a JSON object"),
    ],
)
def test_broken_span_is_told(broken, reason):
    assert [problem.reason for problem, _ in otel(span() | broken, NOWHERE).failed] == [reason]


def test_parts_become_openai_messages():
    call = {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}
    answer = {"type": "tool_call_response", "id": "c1", "response": 3}
    assert messages_of({"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [answer]}) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
    ]


def test_several_parts_stay_parts_and_messages_without_parts_stay():
    parts = [{"type": "text", "content": "See"}, {"type": "image", "uri": "x"}]
    assert messages_of({"role": "user", "parts": parts}, {"role": "user", "content": "Hi"}) == [
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "uri": "x"}]},
        {"role": "user", "content": "Hi"},
    ]


def test_system_instructions_come_first():
    system = '[{"type": "text", "content": "Be brief."}]'
    messages = messages_of(*MESSAGES, **{"gen_ai.system_instructions": system})
    assert messages[0] == {"role": "system", "content": "Be brief."}
