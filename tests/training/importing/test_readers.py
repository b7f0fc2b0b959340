"""Files become records with their rows, and damage becomes the last item."""

import gzip
import json
import re
import zipfile
from datetime import timedelta

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.importing import json_stream
from router_model.training.importing.items import Record, Unreadable
from router_model.training.importing.layout import Archive, Layout
from router_model.training.importing.readers import SourceFile

RECORDS = [{"a": "1", "b": "x"}, {"a": "é", "b": 'say "hi"\nthere'}]


def read(path, payload):
    path.write_bytes(payload)
    return list(SourceFile(path).items())


def rows_and_values(items):
    return [(item.row, item.value if isinstance(item, Record) else item.problem.reason) for item in items]


JSONL = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
CSV = 'a,b\n1,x\né,"say ""hi""\nthere"\n'.encode()


@pytest.mark.parametrize(
    ("name", "payload", "rows"),
    [
        ("t.jsonl", JSONL, [1, 2]),
        ("t.ndjson", JSONL.replace(b"\n", b"\r\n\r\n"), [1, 3]),
        ("t.jsonl.gz", gzip.compress(JSONL, mtime=0), [1, 2]),
        ("t.jsonl.zst", zstandard.compress(JSONL[:20]) + zstandard.compress(JSONL[20:]), [1, 2]),
        ("t.json", json.dumps(RECORDS).encode(), [1, 2]),
        ("t.json.gz", gzip.compress(json.dumps({"records": RECORDS}, indent=1).encode(), mtime=0), [1, 2]),
        ("t.json", JSONL, [1, 2]),
        ("t.json", b"".join(json.dumps(record, indent=4).encode() + b"\n" for record in RECORDS), [1, 2]),
        ("t.json", b"".join(json.dumps([record]).encode() + b"\n" for record in RECORDS), [1, 2]),
        ("t.jsonl", json.dumps(RECORDS, indent=1).encode(), [1, 2]),
        ("t.jsonl.gz", gzip.compress(b"\n" + json.dumps(RECORDS).encode(), mtime=0), [1, 2]),
        ("t.jsonl", b"".join(json.dumps(record, indent=4).encode() + b"\n" for record in RECORDS), [1, 2]),
        ("name-without-suffix", b"\n" + JSONL, [1, 2]),
        ("t.tsv", CSV.replace(b",", b"\t"), [2, 3]),
        ("t.csv", CSV, [2, 3]),
        ("t.csv", b"\xef\xbb\xbf" + CSV, [2, 3]),
        ("t.csv", CSV.replace(b",", b";"), [2, 3]),
        ("t.csv", CSV.replace(b",", b"\t"), [2, 3]),
        ("t.csv.gz", gzip.compress(CSV, mtime=0), [2, 3]),
        ("t.csv", CSV.replace(b",", b"|"), [2, 3]),
        ("excel.csv", b"sep=;\r\n" + CSV.replace(b",", b";"), [3, 4]),
        ("compressed-under-the-old-name.jsonl", gzip.compress(JSONL, mtime=0), [1, 2]),
        ("compressed-under-the-old-name.csv", zstandard.compress(CSV), [2, 3]),
        ("decompressed-under-the-old-name.jsonl.gz", JSONL, [1, 2]),
    ],
)
def test_every_kind_of_file_gives_the_same_records(tmp_path, name, payload, rows):
    items = read(tmp_path / name, payload)
    assert rows_and_values(items) == list(zip(rows, RECORDS, strict=True))


def test_parquet_gives_the_same_records(tmp_path):
    pl.DataFrame(RECORDS).write_parquet(tmp_path / "t.parquet")
    assert rows_and_values(SourceFile(tmp_path / "t.parquet").items()) == list(enumerate(RECORDS, start=1))


def test_parquet_of_older_writers_gives_texts_and_seconds(tmp_path):
    """What cannot be text stays as it is, so that the checks report it."""
    columns = {"prompt": [b"Hi"], "latency_s": [timedelta(milliseconds=1500)], "blob": [b"\xff"]}
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    (item,) = SourceFile(tmp_path / "t.parquet").items()
    assert item.value == {"prompt": "Hi", "latency_s": 1.5, "blob": b"\xff"}


def test_json_named_as_csv_is_told_as_such(tmp_path):
    assert rows_and_values(read(tmp_path / "t.csv", JSONL)) == [(1, "got JSON, expected CSV, as the file is named")]


def test_csv_row_is_the_line_a_record_begins_in(tmp_path):
    """Lines: header, 1, two lines of one record, blank, last."""
    items = read(tmp_path / "t.csv", b'a\n1\n"2\n2"\n\n3\n')
    assert [item.row for item in items] == [2, 3, 6]


def test_csv_delimiter_is_told_by_the_header_only(tmp_path):
    items = read(tmp_path / "t.csv", b'a,b\n"1;2;3;4",x\n')
    assert items[0].value == {"a": "1;2;3;4", "b": "x"}


def test_csv_column_without_a_name_gets_one(tmp_path):
    assert read(tmp_path / "t.csv", b",a\n0,x\n")[0].value == {"column_1": "0", "a": "x"}


def test_csv_field_longer_than_the_default_limit_is_read(tmp_path):
    assert len(read(tmp_path / "t.csv", b"a,b\n" + b"x" * 200_000 + b",1\n")[0].value["a"]) == 200_000


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a": \n{"a": 3}\n', {2: "broken JSON"}),
        ("t.jsonl", b'{"a": 1}\n[1]\n"x"\n', {2: r"got \[1\], expected a JSON object", 3: "got 'x'"}),
        ("t.jsonl", b'{"a": "caf\xe9"}\n{"a": 1}\n', {1: "got the byte 0xe9, which is not UTF-8 here"}),
        ("t.jsonl", b"[" * 100_000 + b"\n", {1: "broken JSON"}),
        ("t.csv", b"a,b\n1,2\n1\n1,2,3\n", {3: "got 1 fields, expected 2 as in the header", 4: "got 3 fields"}),
        ("t.csv", b"a,b\n1,caf\xe9\n", {2: "got the byte 0xe9"}),
        ("t.csv", b'a,b\n1,"x"y\n1,2\n', {2: "broken CSV"}),
        ("t.csv", b'a,b\n1,2\n1,"never closed\n1,2\n', {3: "broken CSV .unexpected end of data"}),
        ("t.csv", b"a,a\n1,2\n", {1: "got the column 'a' twice"}),
        ("t.csv", b"\n1,2\n", {1: "got an empty first line"}),
        ("t.csv", b"caf\xe9,a\n1,2\n", {1: "got the byte 0xe9"}),
        ("t.csv", b"a,b\n", {1: "got a file without rows below the header"}),
        ("t.csv", b"", {1: "expected a header"}),
        ("t.jsonl", b"\n \n", {1: "got a file without records"}),
        ("t.json", b"[]", {1: "got a file without records"}),
        ("t.json", b"", {1: "got a file without records"}),
        ("t.json", b'[{"a": 1}, {"a": 2', {2: "broken JSON"}),
        ("t.json", b'[{"a": 1} {"a": 2}]', {2: "expected JSON with ',' or ']' here"}),
        ("t.json", b'[{"a": 1}]\n[2]', {2: "got 2, expected a JSON object"}),
        ("t.json", b'{"a": 1} x', {2: "got 'x', expected JSON with '{' or '\\[' here"}),
        ("t.json", b'{"data": [{"a": 1}]} x', {2: "got 'x', expected JSON with '{' or '\\[' here"}),
        ("t.json", b'{"data": [{"a": 1}], "results": []}', {1: "lists \\['data', 'results'\\]"}),
        ("t.json", b"3", {1: "got '3', expected JSON with '{' here"}),
        ("t.csv", b"\xff\xfea\x00,\x00", {1: "byte order mark of UTF-16"}),
        ("t.csv", b"a\x00,\x00b\x00\n\x00", {1: "text that looks like UTF-16"}),
        ("t.csv", b"a,b\r1,2\r", {1: "lines that end with CR alone"}),
        ("t.csv", b"PK\x03\x04", {1: "a zip file"}),
        ("t.jsonl", b"PAR1", {1: "a Parquet file"}),
        ("t.json", b"\n<!DOCTYPE html>", {1: "a page of HTML"}),
        ("t.jsonl.gz", b"not gzip", {1: "damaged compressed data"}),
        ("t.jsonl.gz", gzip.compress(JSONL, mtime=0)[:-9], {1: "damaged compressed data"}),
        ("t.jsonl.zst", b"not zstandard", {1: "damaged compressed data"}),
        ("t.jsonl.zst", zstandard.compress(JSONL)[:-4], {1: "damaged compressed data"}),
        ("t.parquet", b"PAR1", {1: "damaged Parquet"}),
        ("t.parquet", b"", {1: "damaged Parquet"}),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(tmp_path, name, payload, expected):
    bad = {item.row: item.problem.reason for item in read(tmp_path / name, payload) if isinstance(item, Unreadable)}
    assert list(bad) == list(expected)
    for row, pattern in expected.items():
        assert re.search(pattern, bad[row]), bad[row]


def test_csv_bad_byte_is_told_with_its_column(tmp_path):
    item = read(tmp_path / "t.csv", b"a,b\n1,caf\xe9\n")[0]
    assert (item.problem.column, item.raw) == ("b", "1,caf\\xe9")


def test_directory_named_like_a_file_is_unreadable(tmp_path):
    (tmp_path / "t.csv").mkdir()
    (item,) = SourceFile(tmp_path / "t.csv").items()
    assert item.problem.got.startswith("an error of the system")


def test_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("router_model.training.importing.byte_streams.MAX_RECORD_BYTES", 10)
    items = read(tmp_path / "t.jsonl", b'{"a": 1}\n{"a": "' + b"x" * 100 + b'"}\n')
    assert rows_and_values(items)[1] == (2, "got a line longer than 10 bytes, expected one record per line")


def test_json_object_around_the_records_is_their_context_wherever_it_stands(tmp_path):
    payload = b'{"model_name": "m", "records": [{"a": 1}, {"a": 2}], "dataset": "d"}'
    items = read(tmp_path / "t.json", payload)
    assert [(item.row, item.value["a"]) for item in items] == [(1, 1), (2, 2)]
    assert dict(items[0].context) == {"model_name": "m", "dataset": "d"}


@pytest.mark.parametrize(
    ("payload", "context"),
    [
        (b'{"v": 1, "results": {"prompts": ["p"], "results": [{"a": 1}], "stats": {}}, "config": {}}',
         {"v": 1, "results": {"prompts": ["p"], "stats": {}}, "config": {}}),
        (b'{"results": {"n": 2}, "samples": [{"a": 1}]}', {"results": {"n": 2}}),
        (b'{"results": {}, "samples": [{"a": 1}]}', {"results": {}}),
    ],
)  # fmt: skip
def test_json_list_stands_where_the_layout_says(tmp_path, payload, context):
    (tmp_path / "t.json").write_bytes(payload)
    (item,) = SourceFile(tmp_path / "t.json", Layout(lists=("results.results", "samples"))).items()
    assert (item.value, dict(item.context)) == ({"a": 1}, context)


def write_archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in members.items():
            file.writestr(name, value)
    return SourceFile(path, Layout(archives=(Archive(".eval", r"samples/.+\.json", ("header.json", "start.json")),)))


def test_archive_gives_its_members_in_the_order_of_their_numbers(tmp_path):
    members = {"samples/10_epoch_1.json": '{"a": 10}', "samples/2_epoch_1.json": '{"a": 2}', "start.json": '{"m": 1}'}
    items = list(write_archive(tmp_path / "t.eval", members | {"summaries.json": "[]"}).items())
    assert rows_and_values(items) == [(1, {"a": 2}), (2, {"a": 10})]
    assert items[0].context == {"m": 1}


def test_archive_member_that_is_broken_does_not_stop_the_next(tmp_path):
    members = {"samples/1.json": '{"a": ', "samples/2.json": "[1]", "samples/3.json": '{"a": 3}'}
    items = list(write_archive(tmp_path / "t.eval", members).items())
    assert "broken JSON in the member 'samples/1.json'" in items[0].problem.got
    assert items[1].problem.reason == "got [1], expected a JSON object with named fields"
    assert items[2].value == {"a": 3}


@pytest.mark.parametrize(
    ("payload", "layout", "message"),
    [
        (b"no zip", Layout(archives=(Archive(".eval", ".*"),)), "an archive that cannot be opened"),
        (b"PK", Layout(), "an archive ending in '.eval'"),
    ],
)
def test_archive_that_cannot_be_opened_is_unreadable(tmp_path, payload, layout, message):
    (tmp_path / "t.eval").write_bytes(payload)
    (item,) = SourceFile(tmp_path / "t.eval", layout).items()
    assert message in item.problem.got


def test_json_object_without_a_list_is_one_record(tmp_path):
    assert rows_and_values(read(tmp_path / "t.json", b'{"a": {"b": [1]}}')) == [(1, {"a": {"b": [1]}})]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=3), min_size=1, max_size=6), st.integers(1, 40))
def test_json_read_in_pieces_is_the_json_read_whole(tmp_path_factory, records, n_bytes):
    path = tmp_path_factory.mktemp("json") / "t.json"
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK_BYTES", n_bytes)
        assert [item.value for item in SourceFile(path).items()] == records
