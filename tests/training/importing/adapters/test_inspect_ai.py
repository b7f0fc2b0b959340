"""inspect-ai: logs as JSON and as archives, whose members the tool compresses with zstandard."""

import json
import struct
import zipfile
import zlib

import polars as pl
import pytest
import zstandard

from router_model.errors import TableError
from router_model.training.importing import import_sources

HEADER = {
    "version": 2,
    "status": "success",
    "eval": {"created": "2025-03-01T10:00:00+00:00", "task": "primes", "model": "openai/gpt-4o", "dataset": {}},
    "plan": {},
    "results": {"total_samples": 1, "scores": [{"name": "match", "scorer": "match"}]},
}


def sample(**changes):
    return {
        "id": 1,
        "epoch": 1,
        "input": "Name a prime.",
        "target": "11",
        "messages": [
            {"id": "x1", "role": "system", "content": "Be terse."},
            {"id": "x2", "role": "user", "content": "Name a prime.", "source": "input"},
            {"id": "x3", "role": "assistant", "content": "11", "source": "generate"},
        ],
        "output": {"model": "gpt-4o-2024-11-20", "usage": {"input_tokens": 1, "output_tokens": 1}},
        "scores": {"match": {"value": "C", "answer": "11"}},
        "model_usage": {
            "openai/gpt-4o": {
                "input_tokens": 10, "output_tokens": 20, "input_tokens_cache_read": 5, "reasoning_tokens": 8,
                "total_cost": 0.002,
            },
            "openai/judge": {"input_tokens": 500, "output_tokens": 500},
        },
        "started_at": "2025-03-01T10:00:01+00:00",
        "total_time": 9.0,
        "working_time": 1.5,
    } | changes  # fmt: skip


def log(*samples, **changes):
    return HEADER | {"samples": list(samples)} | changes


def test_sample_becomes_an_outcome_without_the_answer_and_the_ids_of_the_run(imported):
    """10 fresh input tokens and 5 from the cache are 15; the judge's tokens are not the model's."""
    (row,) = imported({"log.json": log(sample())}).rows
    assert row["messages"] == [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Name a prime."}]
    assert (row["model"], row["quality"], row["task"]) == ("openai/gpt-4o", 1.0, "primes")
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"], row["latency_s"]) == (15, 20, 0.002, 1.5)
    assert str(row["timestamp"]) == "2025-03-01 10:00:01+00:00"
    assert row["extra"] == {"id": 1, "epoch": 1, "scorer": "match"}


RESULTS = {"scores": [{"name": "b", "scorer": "multi"}, {"name": "match", "scorer": "match"}]}
MULTI = {"match": {"value": "I"}, "multi": {"value": {"a": 0.25, "b": 0.75}}}


@pytest.mark.parametrize(
    ("scores", "results", "quality"),
    [
        ({"s": {"value": "P"}}, None, 0.5),
        ({"s": {"value": "N"}}, None, 0.0),
        ({"s": {"value": "yes"}}, None, 1.0),
        ({"s": {"value": True}}, None, 1.0),
        ({"s": {"value": 0.3}}, None, 0.3),
        ({"s": {"value": "0.3"}}, None, 0.3),
        ({"s": {"value": {"only": 1}}}, None, 1.0),
        ({"s": {"value": float("nan")}}, None, None),
        ({}, None, None),
        (MULTI, None, 0.0),
        (MULTI, RESULTS, 0.75),
        (MULTI, RESULTS | {"headline": {"scorer": "match", "score": "match", "metric": "accuracy"}}, 0.0),
    ],
)
def test_headline_score_is_the_quality(imported, scores, results, quality):
    (row,) = imported({"log.json": log(sample(scores=scores), results=results)}).rows
    assert row["quality"] == quality


def test_epochs_are_averaged_and_failed_samples_are_skipped(imported):
    samples = [sample(), sample(epoch=2, scores={"match": {"value": "I"}}, working_time=2.5)]
    samples += [sample(epoch=3, error={"message": "boom"}), sample(epoch=4, invalidation={"author": "a"})]
    found = imported({"log.json": log(*samples)})
    assert (found.column("quality"), found.column("latency_s")) == ([0.5], [2.0])
    assert found.skipped == {
        "failed samples": 1,
        "invalidated samples": 1,
        "answers averaged with others of the same prompt and model": 1,
    }


def test_prompt_keeps_examples_attachments_images_and_tools(imported):
    messages = [
        {"id": "1", "role": "user", "content": [{"type": "text", "text": "attachment://f00"},
                                                {"type": "image", "image": "https://e.org/a.png"}]},
        {"id": "2", "role": "assistant", "source": "input", "content": "An example",
         "tool_calls": [{"id": "c", "function": "add", "arguments": {"a": 1}, "type": "function"}]},
        {"id": "3", "role": "tool", "tool_call_id": "c", "function": "add", "content": "2"},
        {"id": "4", "role": "assistant", "content": "the answer"},
    ]  # fmt: skip
    (row,) = imported({"log.json": log(sample(messages=messages, attachments={"f00": "Long text"}))}).rows
    first, example, tool = row["messages"]
    assert first["content"][0] == {"type": "text", "text": "Long text"}
    assert first["content"][1] == {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}
    assert example["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert tool == {"role": "tool", "tool_call_id": "c", "content": "2"}


def test_input_stands_for_messages_that_were_not_kept(imported):
    assert imported({"log.json": log(sample(messages=[]))}).column("prompt") == ["Name a prime."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "a log of inspect-ai without samples"),
        ([sample(output={})], "a sample of inspect-ai without the log around it"),
        (log(sample(scores={"s": {"value": [1, 0]}})), "expected one value of the scorer 's'"),
        (
            log(sample(scores=MULTI | {"match": {"value": {"a": 1, "b": 0}}})),
            r'the values \["a", "b"\] of inspect-ai\'s',
        ),
        (log(sample(scores={"s": {"value": 7}})), "quality has .*, expected 0 to 1"),
    ],
)
def test_what_is_missing_is_named(imported, content, message):
    with pytest.raises(TableError, match=message):
        imported({"log.json": content})


def zstd_member(name, value):
    """Return a member's local header and data, and its entry in the directory, as PKWARE's method 93."""
    text = json.dumps(value).encode()
    packed = zstandard.compress(text)
    fields = struct.pack("<HHHHHIIIHH", 63, 0, 93, 0, 33, zlib.crc32(text), len(packed), len(text), len(name), 0)
    return b"PK\3\4" + fields + name.encode() + packed, b"PK\1\2" + struct.pack("<H", 63) + fields


def write_zstd_archive(path, members):
    data, directory = b"", b""
    for name, value in members.items():
        local, entry = zstd_member(name, value)
        directory += entry + struct.pack("<HHHII", 0, 0, 0, 0, len(data)) + name.encode()
        data += local
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(data), 0)
    path.write_bytes(data + directory + b"PK\5\6" + end)


def write_deflated_archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in members.items():
            file.writestr(name, json.dumps(value))


@pytest.mark.parametrize("write", [write_zstd_archive, write_deflated_archive])
@pytest.mark.parametrize("header", ["header.json", "_journal/start.json"])
def test_archive_is_read_with_its_header(tmp_path, write, header):
    """A log that was not finished has its beginning only; large samples lie in parts, the first of them whole."""
    members = {
        "samples/1_epoch_1.json": sample(),
        "samples/a/b_epoch_1.json": sample(id="a/b", input="Another?", messages=[]),
        "samples/3_epoch_1/sample.json": sample(id=3, input="Third?", messages=[]),
        "samples/3_epoch_1/messages/0.json": [],
        "summaries.json": [],
        header: HEADER,
    }
    write(tmp_path / "log.eval", members)
    import_sources([tmp_path / "log.eval"], tmp_path / "o.parquet")
    frame = pl.read_parquet(tmp_path / "o.parquet")
    assert sorted(frame["prompt"].drop_nulls()) == ["Another?", "Third?"]
    assert frame["task"].to_list() == ["primes"] * 3
