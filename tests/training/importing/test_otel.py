"""GenAI spans, flat and in OTLP's JSON, become rows."""

import json

import pytest

from router_model.training.importing.adapters import ADAPTERS, NOWHERE

otel = ADAPTERS["otel"].convert
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
        "extra": {"gen_ai.operation.name": "chat", "spanId": "b7"},
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


def test_harmless_attributes_of_the_resource_are_kept_in_extra():
    resource = {"attributes": pairs({"service.name": "shop", "host.name": "secret"})}
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
    record = ATTRIBUTES | {"start_time": "2025-01-31T08:30:00Z", "end_time": "2025-01-31T08:30:02Z"}
    (row,) = otel(record, NOWHERE).rows
    assert (row["latency_s"], row["timestamp"], row["model"]) == (2.0, 1738312200.0, "gpt-4o")


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        (
            {"gen_ai.input.messages": None},
            "messages",
            "got a call of OpenTelemetry without its prompt, expected the prompt or chat messages",
        ),
        ({"gen_ai.input.messages": "[oops"}, "gen_ai.input.messages", "got '[oops', expected a JSON list of messages"),
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
        ({"startTimeUnixNano": "soon"}, "got 'soon', expected seconds since 1970 or a time in ISO 8601"),
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


# --- the prompt in other places --------------------------------------------------------------------------

CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
ASKED_IN_PARTS = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]


def event(name, **attributes):
    return {"name": name, "attributes": pairs(attributes)}


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        (
            {
                "gen_ai.prompt.0.role": "system",
                "gen_ai.prompt.0.content": "Be brief.",
                "gen_ai.prompt.1.content": "Hi",
                "gen_ai.prompt.1.role": "user",
                "gen_ai.completion.0.content": "secret",
            },
            [],
        ),
        ({"llm.prompts.0.role": "system", "llm.prompts.0.content": "Be brief.", "llm.prompts.1.content": "Hi"}, []),
        ({"gen_ai.prompt": json.dumps(ASKED)}, []),
        ({}, [event("gen_ai.content.prompt", **{"gen_ai.prompt": json.dumps(ASKED)})]),
        (
            {},
            [
                event("gen_ai.system.message", content="Be brief."),
                event("gen_ai.user.message", content="Hi", role="user"),
                event("gen_ai.choice", message="secret"),
            ],
        ),
        (
            {},
            [
                event("gen_ai.system.message", **{"gen_ai.event.content": '{"content": "Be brief."}'}),
                event("gen_ai.user.message", **{"gen_ai.event.content": '{"role": "user", "content": "Hi"}'}),
            ],
        ),
        (
            {},
            [
                event(
                    "gen_ai.client.inference.operation.details",
                    **{
                        "gen_ai.input.messages": json.dumps(ASKED_IN_PARTS),
                        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
                    },
                )
            ],
        ),
        (
            {
                "events": json.dumps(
                    [
                        {"event.name": "gen_ai.system.message", "content": "Be brief."},
                        {"event.name": "gen_ai.user.message", "content": "Hi", "role": "user"},
                        {"event.name": "gen_ai.choice", "message": {"content": "secret"}},
                    ]
                )
            },
            [],
        ),
        ({"request_data": json.dumps({"model": "gpt-4o", "messages": ASKED})}, []),
    ],
)
def test_prompt_is_found_wherever_an_instrumentation_wrote_it(attributes, events):
    (row,) = otel({"attributes": pairs(CALL | attributes), "events": events, **TIMES}, NOWHERE).rows
    assert row["messages"] == ASKED
    assert "secret" not in json.dumps(row)


@pytest.mark.parametrize(
    "changes",
    [
        {"gen_ai.usage.prompt_tokens": 8, "gen_ai.usage.completion_tokens": 5},
        {"llm.usage.prompt_tokens": 8, "llm.usage.completion_tokens": 5, "gen_ai.usage.input_tokens": None},
    ],
)
def test_counts_are_read_by_their_older_names(changes):
    (row,) = otel(span(**{"gen_ai.usage.input_tokens": None} | changes), NOWHERE).rows
    assert (row["input_tokens"], row["output_tokens"]) == (8, 5)


# --- other files -----------------------------------------------------------------------------------------

JAEGER = {
    "traceID": "5b8e",
    "spans": [
        {
            "spanID": "0515",
            "operationName": "chat gpt-4o",
            "startTime": 1738312200000000,
            "duration": 1500000,
            "tags": [{"key": key, "type": "string", "value": value} for key, value in ATTRIBUTES.items()],
            "logs": [],
            "processID": "p1",
        }
    ],
    "processes": {"p1": {"serviceName": "shop"}},
}
ZIPKIN = {"traceId": "5b8e", "id": "0515", "timestamp": 1738312200000000, "duration": 1500000, "tags": ATTRIBUTES}
CONSOLE = {
    "context": {"trace_id": "0x5B8E", "span_id": "0x0515"},
    "start_time": "2025-01-31T08:30:00Z",
    "end_time": "2025-01-31T08:30:01.500Z",
    "status": {"status_code": "UNSET"},
    "attributes": ATTRIBUTES,
}
NANOSECONDS = {"start_time": 1738312200 * 10**9, "end_time": "1738312201500000000", "attributes": ATTRIBUTES}
JAVASCRIPT = {"startTime": [1738312200, 0], "endTime": [1738312201, 500000000], "attributes": ATTRIBUTES}
SNAKE_CASE = {
    "resource_spans": [
        {
            "scope_spans": [
                {
                    "spans": [
                        {
                            "attributes": [
                                {"key": key, "value": {"string_value": value}} for key, value in CALL.items()
                            ]
                            + [{"key": "gen_ai.usage.input_tokens", "value": {"int_value": "8"}}]
                            + [{"key": "gen_ai.input.messages", "value": {"string_value": json.dumps(MESSAGES)}}],
                            "start_time_unix_nano": "1738312200000000000",
                            "end_time_unix_nano": "1738312201500000000",
                        }
                    ]
                }
            ]
        }
    ]
}


@pytest.mark.parametrize(
    "record", [JAEGER, ZIPKIN, CONSOLE, NANOSECONDS, JAVASCRIPT, SNAKE_CASE, {"batches": [span()]}]
)
def test_files_of_every_kind_give_the_same_call(record):
    if "batches" in record:  # Tempo
        record = {"batches": [{"scopeSpans": [{"spans": record["batches"]}]}]}
    (row,) = otel(record, NOWHERE).rows
    assert (row["messages"], row["model"], row["input_tokens"]) == ([{"role": "user", "content": "Hi"}], "gpt-4o", 8)
    assert (row["timestamp"], row["latency_s"]) == (1738312200.0, 1.5)


@pytest.mark.parametrize(
    "broken",
    [
        {"status": {"code": 2}},
        {"status": {"code": "STATUS_CODE_ERROR"}},
        {"status": {"status_code": "ERROR"}},
        {"status_code": "StatusCode.ERROR"},
        {"attributes": ATTRIBUTES | {"error.type": "429"}},
        {"attributes": ATTRIBUTES | {"otel.status_code": "ERROR", "error": True}},
    ],
)
def test_failed_call_is_skipped_and_counted(broken):
    assert dict(otel(span() | broken, NOWHERE).skipped) == {"failed calls": 1}


# --- records that belong together ------------------------------------------------------------------------


def with_notes(*records):
    """Convert all records as an import does: their notes are taken first."""
    notes = {}
    for record in records:
        for key, value in ADAPTERS["otel"].notes(record, NOWHERE):
            notes.setdefault(key, []).append(json.loads(json.dumps(value)))
    around = NOWHERE._replace(notes_of=lambda key: notes.get(key, []))
    return [otel(record, around) for record in records]


def log(name, span_id="0515", **fields):
    record = {"timeUnixNano": "1738312201600000000", "traceId": "5b8e", "spanId": span_id, "eventName": name, **fields}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def test_messages_in_log_records_are_joined_to_their_span():
    bare = {"attributes": pairs(CALL), "traceId": "5b8e", "spanId": "0515", **TIMES}
    told = [
        log("gen_ai.system.message", body=otlp({"content": "Be brief."})),
        log("gen_ai.user.message", body=otlp({"content": "Hi", "role": "user"})),
        log("gen_ai.user.message", span_id="9999", body=otlp({"content": "Another"})),
    ]
    *logs, spans = with_notes(*told, bare)
    assert spans.rows[0]["messages"] == ASKED
    assert [dict(one.skipped) for one in logs] == [{"log records about spans": 1}] * 3


EVALUATION = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.75}


@pytest.mark.parametrize("told", [
    log("gen_ai.evaluation.result", attributes=pairs(EVALUATION)),
    log("", attributes=pairs(EVALUATION | {"event.name": "gen_ai.evaluation.result"})),
    log("gen_ai.evaluation.result", span_id="", attributes=pairs(EVALUATION | {"gen_ai.response.id": "r1"})),
])  # fmt: skip
def test_evaluation_in_a_log_record_is_the_quality_of_its_call(told):
    call = span(**{"gen_ai.response.id": "r1"}) | {"traceId": "5b8e", "spanId": "0515"}
    assert with_notes(told, call)[1].rows[0]["quality"] == 0.75


def test_evaluation_event_of_the_span_is_its_quality_and_several_names_are_refused():
    first = event("gen_ai.evaluation.result", **EVALUATION)
    second = event("gen_ai.evaluation.result", **EVALUATION | {"gen_ai.evaluation.name": "tone"})
    assert otel(span() | {"events": [first]}, NOWHERE).rows[0]["quality"] == 0.75
    problem = otel(span() | {"events": [first, second]}, NOWHERE).rows[0]["quality"]
    assert problem.reason == "got the scores 'relevance', 'tone', expected one score, or one named 'quality'"


def test_details_of_a_call_stand_for_it_where_its_span_is_missing():
    attributes = CALL | {"gen_ai.input.messages": MESSAGES, "gen_ai.usage.input_tokens": 8}
    details = log("gen_ai.client.inference.operation.details", attributes=pairs(attributes))
    (alone,) = with_notes(details)
    assert (alone.rows[0]["model"], alone.rows[0]["input_tokens"], alone.rows[0]["latency_s"]) == ("gpt-4o", 8, None)
    bare = {"attributes": pairs(CALL), "traceId": "5b8e", "spanId": "0515", **TIMES}
    joined, spans = with_notes(details, bare)
    assert (joined.rows, len(spans.rows)) == ([], 1)
    assert spans.rows[0]["input_tokens"] == 8
