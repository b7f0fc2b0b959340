"""LiteLLM's payloads and spend logs become rows, or say why they cannot."""

import json

import polars as pl
import pytest

from router_model.training.importing import import_sources
from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.litellm import litellm
from router_model.training.importing.problems import RecordError

MESSAGES = [{"role": "user", "content": "Hi"}]
PAYLOAD = {
    "id": "call-1",
    "call_type": "acompletion",
    "model": "gpt-4o",
    "messages": MESSAGES,
    "response": {"choices": []},
    "response_cost": 0.002,
    "prompt_tokens": 8,
    "completion_tokens": 5,
    "startTime": 1738312200.0,
    "endTime": 1738312201.5,
    "metadata": {"score": 0.5, "session_id": "s1", "propensity": 0.9, "task": "chat"},
}
SPEND_LOG = {
    "request_id": "call-1",
    "call_type": "acompletion",
    "cache_hit": "None",
    "model": "gpt-4o",
    "messages": json.dumps(MESSAGES),
    "proxy_server_request": "{}",
    "spend": "0.002",
    "prompt_tokens": "8",
    "completion_tokens": "5",
    "startTime": "2025-01-31 08:30:00.000",
    "endTime": "2025-01-31T08:30:01.500Z",
    "session_id": "s1",
    "metadata": '{"spend_logs_metadata": {"quality": 0.5}, "status": null}',
    "status": "success",
}
OLD = {
    "request_kwargs": {"model": "gpt-4o", "messages": MESSAGES, "litellm_params": {"metadata": {"score": 0.5}}},
    "response_obj": {"model": "gpt-4o", "usage": {"prompt_tokens": 8, "completion_tokens": 5}},
    "start_time": "2025-01-31 08:30:00",
    "end_time": "2025-01-31 08:30:01.5",
    "response_cost": 0.002,
}
IDENTITY = {
    "user_api_key_hash": "secret",
    "user_api_key_alias": "secret",
    "user_api_key_user_email": "secret",
    "user_api_key_team_id": "secret",
    "requester_ip_address": "secret",
    "requester_custom_headers": {"x": "secret"},
    "some_later_identity": "secret",
    "requester_metadata": {"user": "secret"},
}


def row_of(record):
    (row,) = litellm(record, NOWHERE).rows
    return {key: value for key, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("record", "more"),
    [
        (PAYLOAD, {"session_id": "s1", "propensity": 0.9, "task": "chat"}),
        ({"standard_logging_object": PAYLOAD}, {"session_id": "s1", "propensity": 0.9, "task": "chat"}),
        (SPEND_LOG, {"session_id": "s1", "input_tokens": "8", "output_tokens": "5", "cost_usd": "0.002"}),
        (OLD, {}),
    ],
)
def test_call_of_every_shape_becomes_the_same_row(record, more):
    row = row_of(record)
    del row["extra"]
    assert (
        row
        == {
            "messages": MESSAGES,
            "model": "gpt-4o",
            "quality": 0.5,
            "input_tokens": 8,
            "output_tokens": 5,
            "cost_usd": 0.002,
            "latency_s": 1.5,
            "timestamp": 1738312200.0,
        }
        | more
    )


@pytest.mark.parametrize("cost", [0, 0.0, "0.0"])
def test_cost_of_zero_is_unknown_unless_the_user_names_its_field(tmp_path, cost):
    (source := tmp_path / "log.jsonl").write_text(json.dumps(PAYLOAD | {"response_cost": cost}))
    report = import_sources([source], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["cost_usd"].to_list() == [None]
    ((told, n),) = report.told.items()
    assert (told.startswith("costs of 0 count as unknown; LiteLLM"), n) == (True, 1)
    import_sources([source], tmp_path / "o.parquet", columns={"cost_usd": "response_cost"})
    assert pl.read_parquet(tmp_path / "o.parquet")["cost_usd"].to_list() == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": "{}", "proxy_server_request": json.dumps({"messages": MESSAGES})},
        {"messages": {}, "proxy_server_request": {"body": {"messages": MESSAGES}}},
        {"messages": None, "proxy_server_request": {"input": "Hi"}},
        {"messages": None, "proxy_server_request": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}},
    ],
)
def test_prompt_is_found_in_the_request_where_the_messages_are_empty(changes):
    row = row_of(SPEND_LOG | changes)
    assert row.get("messages", [{"role": "user", "content": row.get("prompt")}]) == MESSAGES


def test_identity_is_dropped_whatever_it_is_called():
    record = PAYLOAD | {"metadata": PAYLOAD["metadata"] | IDENTITY, "end_user": "secret", "api_key": "secret"}
    record |= {"requester_ip_address": "secret", "team_id": "secret", "hidden_params": {"headers": "secret"}}
    row = row_of(record)
    assert "secret" not in json.dumps(row)
    assert row["extra"] == {"id": "call-1", "call_type": "acompletion"}


def test_counts_of_cached_tokens_are_kept():
    usage = {"prompt_tokens_details": {"cached_tokens": 6}}
    assert row_of(PAYLOAD | {"metadata": {"usage_object": usage}})["extra"]["usage_object"] == usage


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"status": "failure"}, "failed calls"),
        ({"metadata": '{"status": "failure"}'}, "failed calls"),
        ({"error_str": "RateLimitError"}, "failed calls"),
        ({"cache_hit": True}, "calls answered by a cache"),
        ({"cache_hit": "True"}, "calls answered by a cache"),
        ({"call_type": "aembedding"}, "embedding calls"),
        ({"call_type": "aimage_generation"}, "image calls"),
        ({"call_type": "atranscription"}, "audio calls"),
        ({"call_type": "arerank"}, "rerank calls"),
        ({"call_type": "mcp_tool"}, "calls of the type 'mcp_tool'"),
    ],
)
def test_what_is_no_answered_chat_is_skipped_and_counted(changes, what):
    conversion = litellm(SPEND_LOG | changes, NOWHERE)
    assert (conversion.rows, dict(conversion.skipped)) == ([], {what: 1})


@pytest.mark.parametrize("call_type", ["completion", "aresponses", "anthropic_messages", "agenerate_content", "", None])
def test_every_kind_of_chat_counts(call_type):
    assert row_of(PAYLOAD | {"call_type": call_type})["model"] == "gpt-4o"


CUT = [{"role": "user", "content": "begin ... (litellm_truncated skipped 99 chars) ... end"}]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (SPEND_LOG | {"messages": "{}"}, "without its prompt"),
        (SPEND_LOG | {"messages": "[]", "proxy_server_request": None}, "without its prompt"),
        (PAYLOAD | {"messages": None}, "without its prompt"),
        (
            PAYLOAD | {"messages": [{"role": "user", "content": "redacted-by-litellm"}]},
            "a prompt that LiteLLM redacted",
        ),
        (PAYLOAD | {"messages": "redacted-by-litellm"}, "a prompt that LiteLLM redacted"),
        (PAYLOAD | {"messages": CUT}, "a prompt that LiteLLM cut"),
        ({"spend": 2.5, "startTime": "2025-01-31", "models": {"gpt-4o": 2.5}}, "a sum of LiteLLM's spend"),
        (PAYLOAD | {"metadata": "oops"}, "got 'oops', expected a JSON object"),
        (PAYLOAD | {"endTime": "later"}, "got 'later', expected seconds since 1970"),
        (PAYLOAD | {"startTime": True}, "got true, expected seconds since 1970"),
    ],
)
def test_call_that_cannot_be_used_says_why(record, message):
    with pytest.raises(RecordError, match=message):
        litellm(record, NOWHERE)


@pytest.mark.parametrize(
    ("record", "advice"),
    [
        (SPEND_LOG | {"messages": "{}"}, "store_prompts_in_spend_logs: true"),
        (PAYLOAD | {"messages": None}, "turn_off_message_logging: false"),
    ],
)
def test_advice_names_the_setting_that_keeps_prompts(record, advice):
    with pytest.raises(RecordError) as caught:
        litellm(record, NOWHERE)
    assert advice in caught.value.problem.advice
