"""What OpenAI keeps of calls: stored completions, and batches with their requests."""

import json

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources
from router_model.training.importing.adapters import ADAPTERS, NOWHERE
from router_model.training.importing.problems import RecordError

ASKED = [{"role": "user", "content": "Hi"}]
USAGE = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1738312200,
    "model": "gpt-4o-2024-11-20",
    "input": ASKED,
    "choices": ["secret"],
    "usage": USAGE,
    "metadata": {"quality": "0.75", "session_id": "s1", "email": "secret"},
    "input_user": "secret",
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1738312200,
    "status": "completed",
    "model": "gpt-4o-2024-11-20",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "output": ["secret"],
    "usage": {"input_tokens": 8, "input_tokens_details": {"cached_tokens": 6}, "output_tokens": 5},
    "metadata": {"quality": "0.75", "session_id": "s1"},
}


@pytest.mark.parametrize("record", [COMPLETION, RESPONSE])
def test_stored_answer_becomes_a_row(record):
    (row,) = ADAPTERS["openai_stored"].convert(record, NOWHERE).rows
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": ASKED,
        "model": "gpt-4o-2024-11-20",
        "quality": "0.75",
        "input_tokens": 8,
        "output_tokens": 5,
        "task": None,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


def test_messages_fetched_apart_are_joined_in_their_order(tmp_path):
    """Message 10 comes after 9; the files are pages of the API."""
    bare = {key: value for key, value in COMPLETION.items() if key != "input"}
    messages = [{"id": f"chatcmpl-1-{i}", "role": "user", "content": f"M{i}"} for i in (10, 9)]
    for name, page in (("completions", [bare]), ("messages", messages)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"object": "list", "data": page}), encoding="utf-8")
    report = import_sources([tmp_path], tmp_path / "o.parquet")
    (text,) = pl.read_parquet(tmp_path / "o.parquet")["messages"]
    assert [message["content"] for message in json.loads(text)] == ["M9", "M10"]
    assert report.skipped == {"messages of stored completions": 2}


def test_stored_answer_without_its_messages_says_where_they_are():
    with pytest.raises(RecordError, match="without its prompt") as caught:
        ADAPTERS["openai_stored"].convert(COMPLETION | {"input": None}, NOWHERE)
    assert "/messages" in caught.value.problem.advice


# --- batches ---------------------------------------------------------------------------------------------


def openai(custom_id, status=200, error=None):
    request = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions"}
    request["body"] = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"Q {custom_id}"}]}
    body = {"object": "chat.completion", "model": "gpt-4o-2024-11-20", "created": 1738312200, "usage": USAGE}
    return request, {"custom_id": custom_id, "response": {"status_code": status, "body": body}, "error": error}


def anthropic(custom_id, kind="succeeded"):
    asked = [{"role": "user", "content": f"Q {custom_id}"}]
    message = {"model": "claude-1", "usage": {"input_tokens": 2, "cache_read_input_tokens": 6, "output_tokens": 5}}
    result = {"type": kind, "message": message}
    return {"custom_id": custom_id, "params": {"messages": asked}}, {"custom_id": custom_id, "result": result}


def write(path, records):
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return path


def test_answers_find_their_requests_in_any_order(tmp_path):
    pairs = [openai("a"), openai("b", status=500), openai("c", error={"code": "expired"}), anthropic("d")]
    pairs.append(anthropic("e", kind="errored"))
    requests, answers = zip(*pairs, strict=True)
    sources = [write(tmp_path / "output.jsonl", answers[::-1]), write(tmp_path / "input.jsonl", requests)]
    report = import_sources(sources, tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet").sort("model", descending=True)
    assert [json.loads(text)[0]["content"] for text in table["messages"]] == ["Q a", "Q d"]
    assert table["input_tokens"].to_list() == [8, 8]
    assert table["output_tokens"].to_list() == [5, 5]
    assert table["cost_usd"].to_list() == [None, None]
    assert report.skipped == {"failed calls": 3, "requests of batches": 5}


def test_answers_without_their_requests_say_which_file_is_missing(tmp_path):
    with pytest.raises(TableError, match="a batch without its prompt.*give the batch's input file, too"):
        import_sources([write(tmp_path / "output.jsonl", [openai("a")[1]])], tmp_path / "o.parquet")


def test_requests_without_answers_are_no_outcomes(tmp_path):
    with pytest.raises(TableError, match="got 1 requests of batches and no outcomes in files read as openai_batch"):
        import_sources([write(tmp_path / "input.jsonl", [openai("a")[0]])], tmp_path / "o.parquet")


def test_one_id_for_two_prompts_is_refused():
    prompts = {"openai-batch:a": [{"prompt": "One"}, {"prompt": "Two"}]}
    with pytest.raises(RecordError, match="2 requests with the id 'a' and different prompts"):
        ADAPTERS["openai_batch"].convert(openai("a")[1], NOWHERE._replace(notes_of=prompts.get))
