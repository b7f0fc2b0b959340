"""Whatever stands in a record, an adapter gives rows or says what is wrong with it."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router_model.training.importing.adapters import ADAPTERS, NOWHERE
from router_model.training.importing.checks import check_batch
from router_model.training.importing.frames import frame_of_rows
from router_model.training.importing.problems import RecordError

ASKED = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
GENAI = {
    "gen_ai.request.model": "m",
    "gen_ai.prompt.0.content": "Hi",
    "gen_ai.usage.input_tokens": 8,
    "gen_ai.system_instructions": [{"type": "text", "content": "x"}],
    "events": [{"event.name": "gen_ai.user.message", "content": "Hi"}],
}
EVENTS = [{"name": "gen_ai.user.message", "attributes": [{"key": "content", "value": {"stringValue": "Hi"}}]}]
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.input_messages": [{"message": {"role": "user", "contents": [{"message_content": {"text": "Hi"}}]}}],
    "llm.input_messages.1.message.tool_calls": [{"tool_call": {"function": {"name": "f"}}}],
}
VERCEL = {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": ASKED, "ai.usage.inputTokens": 8}
USAGE = {"input": 8, "output": 5, "prompt_tokens": 8}
SPANS = {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "x"}}]}}
RECORDS = [
    (
        "litellm",
        {"model": "m", "messages": ASKED, "spend": 1, "startTime": 1, "metadata": {"score": 1}, "usage": USAGE},
    ),
    ("litellm", {"request_kwargs": {"messages": ASKED}, "response_obj": {"usage": USAGE}, "start_time": 1}),
    (
        "otel",
        {
            "attributes": GENAI,
            "context": {"span_id": "1"},
            "status": {"code": 0},
            "events": EVENTS,
            "startTime": [1, 2],
        },
    ),
    ("otel", SPANS | {"scopeSpans": [{"spans": [{"attributes": [{"key": "a", "value": {"intValue": "1"}}]}]}]}),
    (
        "otel",
        {"spans": [{"tags": [], "logs": [{"fields": []}], "processID": "p"}], "processes": {"p": {"serviceName": 1}}},
    ),
    ("otel", {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}, "spanId": "1"}]}]}]}),
    ("openinference", {"attributes": OPENINFERENCE, "annotations": [{"name": "a", "result": {"score": 1}}]}),
    ("vercel", {"attributes": VERCEL, "name": "x"}),
    (
        "langfuse",
        {
            "traceId": "t",
            "type": "GENERATION",
            "input": ASKED,
            "usageDetails": USAGE,
            "costDetails": {"total": 1},
            "scores": [{"name": "a", "value": 1}],
            "startTime": 1,
            "endTime": 2,
            "latency": 1,
        },
    ),
    (
        "langfuse",
        {"id": "t", "observations": [{"type": "GENERATION", "input": ASKED}], "scores": [{"name": "a", "value": 1}]},
    ),
    (
        "langsmith",
        {
            "run_type": "llm",
            "inputs": {"messages": [ASKED]},
            "outputs": {"generations": [[{"message": {}}]]},
            "extra": {"metadata": {}},
            "feedback_stats": {"a": {"avg": 1}},
            "child_runs": [{"run_type": "llm"}],
        },
    ),
    (
        "helicone",
        {
            "request_body": {"messages": ASKED},
            "response_body": {"usage": USAGE},
            "scores": {"a": 1},
            "properties": {"Helicone-Session-Id": "s"},
            "feedback": {"rating": True},
            "delay_ms": 5,
        },
    ),
    ("openai_stored", {"object": "response", "input": ASKED, "usage": USAGE, "metadata": {"quality": 1}, "id": "1"}),
    (
        "openai_batch",
        {"custom_id": "a", "response": {"body": {"model": "m", "usage": USAGE, "created": 1}}, "error": None},
    ),
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, "", "x", "[1]", "{}", "role"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["role", "content", "0"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def paths_in(value, at=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from paths_in(inner, (*at, key))


def replaced(record, path, value):
    record = copy.deepcopy(record)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return record


@pytest.mark.parametrize(("name", "record"), RECORDS)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_record_gives_rows_or_a_problem(name, record, data):
    path = data.draw(st.sampled_from(list(paths_in(record))))
    record = replaced(record, path, data.draw(JSON_VALUES))
    adapter = ADAPTERS[name]
    adapter.recognises(record)
    try:
        if adapter.notes is not None:
            list(adapter.notes(record, NOWHERE))
        rows = adapter.convert(record, NOWHERE).rows
    except RecordError:
        return
    check_batch(frame_of_rows(rows))
