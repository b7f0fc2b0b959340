"""What a request says beside its messages reaches the table, from our own columns and from logs of others."""

import json

import polars as pl
import pytest

from router_model import TableError
from router_model.training.importing import import_sources
from router_model.training.table.outcomes import read_outcomes

ASK = [{"role": "user", "content": "How warm is it?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "at": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
AS_ANTHROPIC = [{"name": "weather", "input_schema": SCHEMA}]
JSON = {"type": "json_object"}
BODY = {"model": "m", "messages": ASK, "tools": TOOLS, "response_format": JSON, "max_tokens": 9}
USAGE = {"prompt_tokens": 8, "completion_tokens": 5}
ANSWER = {"model": "m", "object": "chat.completion", "choices": [], "usage": USAGE, "created": 1738312200}
SPENT = {"model": "m", "response_cost": 0.1, "startTime": 1738312200, "endTime": 1738312201, "call_type": "completion"}
SEEN = {"id": "o", "traceId": "t", "type": "GENERATION", "model": "m", "startTime": "2025-01-31T09:30:00Z"}


def imported(tmp_path, *records):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    import_sources([tmp_path / "log.jsonl"], tmp_path / "t.parquet")
    return pl.read_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "records",
    [
        [{"messages": ASK, "model": "m", "tools": TOOLS, "response_format": JSON, "max_output_tokens": 9}],
        [
            {
                "messages": ASK,
                "model": "m",
                "tools": json.dumps(AS_ANTHROPIC),
                "response_format": JSON,
                "max_output_tokens": "9",
            }
        ],
        [
            {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": BODY},
            {"custom_id": "1", "response": {"status_code": 200, "body": ANSWER}},
        ],
        [{"id": "1", **ANSWER, "input": ASK, "tools": TOOLS, "response_format": JSON, "max_completion_tokens": 9}],
        [SPENT | {"messages": ASK, "model_parameters": {"tools": TOOLS, "response_format": JSON, "max_tokens": 9}}],
        [SPENT | {"messages": "{}", "proxy_server_request": {"body": BODY}}],
        [
            SEEN
            | {
                "input": {"messages": ASK, "tools": TOOLS, "response_format": JSON},
                "modelParameters": {"max_tokens": 9},
            }
        ],
    ],
    ids=["own", "own, as text", "openai_batch", "openai_stored", "litellm", "litellm's proxy", "langfuse"],
)
def test_a_request_arrives_whole(tmp_path, records):
    table = imported(tmp_path, *records)
    (row,) = table.select("tools", "response_format", "max_output_tokens").rows(named=True)
    assert json.loads(row["tools"]) == TOOLS
    assert (json.loads(row["response_format"]), row["max_output_tokens"]) == (JSON, 9)
    assert list(json.loads(row["tools"])[0]["function"]["parameters"]["properties"]) == ["city", "at"]  # in their order


def test_a_row_becomes_the_chat_body_that_was_sent(tmp_path):
    table = imported(tmp_path, {"prompt": "Hi", "model": "m", "quality": 1, "tools": TOOLS, "turn_type": "title"})
    (body,) = read_outcomes(tmp_path / "t.parquet").prompts
    assert body == {"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS, "turn_type": "title"}
    bare = imported(tmp_path, {"prompt": "Hi", "model": "m", "tools": []})
    assert bare["tools"].to_list() == [None]
    assert bare["prompt_id"].to_list() != table["prompt_id"].to_list()  # other tools are another question


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("tools", "[1]", r"column 'tools': got '\[1\]', expected a JSON list of tools such as"),
        ("tools", {"a": 1}, "column 'tools': got .*expected a JSON list of tools"),
        ("response_format", "json", "column 'response_format': got 'json', expected a JSON object such as"),
        ("max_output_tokens", 0, "column 'max_output_tokens': got 0, expected a whole number from 1"),
    ],
)
def test_damaged_parts_are_named(tmp_path, column, value, match):
    with pytest.raises(TableError, match=match):
        imported(tmp_path, {"prompt": "Hi", "model": "m", column: value})


def test_a_prompt_has_one_list_of_tools(tmp_path):
    rows = [
        {"prompt_id": "p", "prompt": "Hi", "model": model, "quality": 1, "tools": tools}
        for model, tools in (("a", TOOLS), ("b", None))
    ]
    imported(tmp_path, *rows)
    with pytest.raises(TableError, match="prompt_id 'p' stands for 2 different prompts"):
        read_outcomes(tmp_path / "t.parquet")
