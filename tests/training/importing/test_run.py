"""Whole imports: what is written, what is set aside, what is told."""

import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.errors import TableError
from router_model.training.commands.import_table import summary_text
from router_model.training.importing import CANONICAL_SCHEMA, batches, import_sources

GOOD = {"prompt": "Hi", "model": "a", "quality": 0.5}


def jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def numbered(n, **changes):
    return [GOOD | {"prompt": f"prompt {i}"} | changes for i in range(n)]


def rejects_of(out):
    path = out.with_name(f"{out.stem}.rejects.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else None


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "table.parquet"


def test_csv_import_writes_the_canonical_table(tmp_path, out):
    (tmp_path / "t.csv").write_text('prompt,model,quality,grader\n"Hi",a,0.5,exact\nHi,b,,\n', encoding="utf-8")
    report = import_sources([tmp_path / "t.csv"], out)
    frame = pl.read_parquet(out)
    assert frame.schema == pl.Schema(CANONICAL_SCHEMA)
    assert frame["quality"].to_list() == [0.5, None]
    assert frame["extra"].to_list() == ['{"grader": "exact"}', None]
    assert frame["source"].to_list() == ["t.csv"] * 2
    assert frame["prompt_id"].n_unique() == 1
    assert (report.n_rows, report.n_prompts, report.n_models, report.n_with_quality) == (2, 1, 2, 1)
    assert report.unknown_columns == ("grader",)
    assert report.formats == {str(tmp_path / "t.csv"): "outcomes"}
    assert report.rejects is None
    assert pl.read_parquet_metadata(out)["router_model.schema_version"] == "1"


def test_table_imports_again_unchanged(tmp_path, out):
    source = jsonl(tmp_path / "t.jsonl", [GOOD | {"timestamp": 1738315800, "grader": "x"}])
    import_sources([source], out)
    import_sources([out], out.with_name("again.parquet"))
    assert pl.read_parquet(out).equals(pl.read_parquet(out.with_name("again.parquet")))


def test_formats_are_told_file_by_file(tmp_path, out):
    jsonl(tmp_path / "a.jsonl", [GOOD])
    jsonl(tmp_path / "b.jsonl", [{"prompt": "Ho", "arms": {"a": {"reward": 1}, "b": {"reward": 0}}}])
    report = import_sources([str(tmp_path / "*.jsonl")], out)
    assert list(report.formats.values()) == ["outcomes", "paretobandit"]
    assert report.n_rows == 3


def test_batches_give_the_same_table(tmp_path, out, monkeypatch):
    source = jsonl(tmp_path / "t.jsonl", numbered(25))
    import_sources([source], out)
    monkeypatch.setattr(batches, "BATCH_RECORDS", 4)
    import_sources([source], out.with_name("small.parquet"))
    assert pl.read_parquet(out).equals(pl.read_parquet(out.with_name("small.parquet")))


def test_progress_ends_at_all_bytes(tmp_path, out):
    jsonl(tmp_path / "a.jsonl", numbered(3))
    jsonl(tmp_path / "b.jsonl", numbered(3, model="b"))
    seen = []
    import_sources([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], out, progress=seen.append)
    read = [progress.bytes_read for progress in seen]
    assert read == sorted(read)
    assert read[-1] == seen[-1].bytes_total == sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))


UNGRADED = "repeated calls without a grade"
QUALITY_MESSAGE = (
    r"t\.csv, row 3, column 'quality': got 1\.7, expected a number in \[0, 1\]; scale it, or use --on-error skip to "
    r"set such rows aside$"
)
AGAIN_MESSAGE = r"row 3, column 'prompt_id': got '\w+' with model 'a' again, first in row 2, expected each prompt and"
NO_MODEL = b'{"records": [{"origin_query": "Hi", "score": 1}]}'
BAD_FILES = [
    ("t.csv", b"prompt,model,quality\nHi,a,1\nHo,a,1.7\n", QUALITY_MESSAGE),
    ("t.csv", b"prompt,model,cost_usd\nHi,a,x\nHo,a,y\nHu,a,z\n", r"got 'x', .* \(2 more rows alike\)$"),
    ("t.csv", b"prompt,model,quality\nHi,a,1\nHi,a,1\n", AGAIN_MESSAGE),
    ("t.csv", b"prompt,model,quality\n,a,1\n", r"row 2, column 'prompt': got '', expected text here, or chat"),
    ("t.csv", b"foo,bar\nHi,a\n", r"row 2: got a record with the fields 'foo', 'bar', expected"),
    ("t.csv", b"prompt,model,quality\n", r"row 1: got a file without rows below the header, expected at least"),
    ("t.jsonl", b'{"prompt": "Hi"\n', r"t\.jsonl, row 1: got broken JSON"),
    ("t.jsonl.gz", b"no gzip", r"t\.jsonl\.gz, row 1: got damaged compressed data"),
    ("t.parquet", b"PAR1", r"t\.parquet, row 1: got damaged Parquet"),
    ("t.json", NO_MODEL, r"row 1, column 'model_name': got nothing, in the"),
]


@pytest.mark.parametrize(("name", "payload", "message"), BAD_FILES)
def test_bad_source_fails_with_one_clear_message_and_leaves_nothing(tmp_path, out, name, payload, message):
    (tmp_path / name).write_bytes(payload)
    with pytest.raises(TableError, match=message):
        import_sources([tmp_path / name], out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(("name", "payload"), [(name, payload) for name, payload, _ in BAD_FILES])
def test_bad_rows_are_set_aside_beside_good_ones(tmp_path, out, name, payload):
    good = jsonl(tmp_path / "good.jsonl", numbered(2))
    (tmp_path / name).write_bytes(payload)
    report = import_sources([good, tmp_path / name], out, on_error="skip", max_rejected=3)
    rejects = rejects_of(out)
    assert report.n_rejected == len(rejects) >= 1
    assert set(rejects[0]) == {"file", "row", "column", "reason", "record"}
    assert pl.read_parquet(out).height == report.n_rows


def test_rejected_rows_can_be_mended_and_imported(tmp_path, out):
    source = jsonl(tmp_path / "t.jsonl", [GOOD, GOOD | {"model": "b", "quality": 50, "grader": "x"}])
    import_sources([source], out, on_error="skip")
    (reject,) = rejects_of(out)
    assert (reject["file"], reject["row"], reject["column"]) == (str(source), 2, "quality")
    assert reject["reason"] == "got 50, expected a number in [0, 1]"
    mended = jsonl(tmp_path / "mended.jsonl", [reject["record"] | {"quality": 0.5}])
    import_sources([mended], out.with_name("mended.parquet"))
    row = pl.read_parquet(out.with_name("mended.parquet")).row(0, named=True)
    assert (row["model"], row["source"], row["extra"]) == ("b", "t.jsonl", '{"grader": "x"}')


def test_first_of_duplicates_is_kept_across_files(tmp_path, out):
    first = jsonl(tmp_path / "a.jsonl", [GOOD])
    second = jsonl(tmp_path / "b.jsonl", [GOOD | {"quality": 1}, GOOD | {"model": "b"}])
    report = import_sources([first, second], out, on_error="skip")
    assert (report.n_rows, report.n_rejected) == (2, 1)
    assert pl.read_parquet(out)["quality"].to_list() == [0.5, 0.5]
    assert f"again, first in {first}, row 1" in rejects_of(out)[0]["reason"]


CALL = {"prompt": "Hi", "model": "a"}
GRADED = CALL | {"quality": 0.9, "cost_usd": 0.2}


@pytest.mark.parametrize("batch", [1, 20_000])
@pytest.mark.parametrize(
    "files",
    [
        [[CALL, GRADED]],
        [[GRADED, CALL]],
        [[CALL, CALL, GRADED, CALL]],
        [[CALL, CALL | {"model": "b"}], [GRADED]],
        [[GRADED], [CALL | {"model": "b"}, CALL]],
    ],
)
def test_graded_call_wins_over_ungraded_ones_in_any_order(tmp_path, out, monkeypatch, files, batch):
    monkeypatch.setattr(batches, "BATCH_RECORDS", batch)
    paths = [jsonl(tmp_path / f"{number}.jsonl", records) for number, records in enumerate(files)]
    report = import_sources(paths, out)
    table = pl.read_parquet(out).filter(model="a")
    assert (table["quality"].to_list(), table["cost_usd"].to_list()) == ([0.9], [0.2])
    assert report.n_rows + report.skipped[UNGRADED] == sum(map(len, files))


def test_two_grades_of_a_call_are_an_error_also_if_they_are_far_apart(tmp_path, out):
    source = jsonl(tmp_path / "t.jsonl", [CALL, GRADED, CALL, GRADED | {"quality": 0.1}])
    with pytest.raises(TableError, match="row 4, column 'prompt_id': got .* again, first in row 2"):
        import_sources([source], out)
    assert import_sources([source], out, on_error="skip").n_rejected == 1
    assert pl.read_parquet(out)["quality"].to_list() == [0.9]


def test_all_rejected_is_an_error_and_keeps_the_rejects(tmp_path, out):
    source = jsonl(tmp_path / "t.jsonl", numbered(2, cost_usd=-1))
    with pytest.raises(TableError, match=r"got 2 rows, all of them rejected.*the first: .*row 1, column 'cost_usd'"):
        import_sources([source], out, on_error="skip", max_rejected=1.0)
    assert [path.name for path in out.parent.iterdir()] == ["table.rejects.jsonl"]
    assert len(rejects_of(out)) == 2


def test_stale_rejects_are_removed(tmp_path, out):
    source = jsonl(tmp_path / "t.jsonl", [GOOD, GOOD | {"quality": 7.5}])
    import_sources([source], out, on_error="skip")
    import_sources([jsonl(source, [GOOD])], out, on_error="skip")
    assert rejects_of(out) is None


def test_failed_import_leaves_an_earlier_table(tmp_path, out):
    import_sources([jsonl(tmp_path / "t.jsonl", [GOOD])], out)
    before = out.read_bytes()
    with pytest.raises(TableError, match="the number 7"):
        import_sources([jsonl(tmp_path / "t.jsonl", [GOOD | {"quality": 7}])], out)
    assert out.read_bytes() == before


def test_interrupt_leaves_nothing(tmp_path, out):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_sources([jsonl(tmp_path / "t.jsonl", [GOOD])], out, progress=interrupt)
    assert list(out.parent.iterdir()) == []


def test_reading_stops_at_damage_and_the_row_is_told(tmp_path, out):
    payload = b"".join(json.dumps(record).encode() + b"\n" for record in numbered(20_000))
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(payload, mtime=0)[:-2000])
    report = import_sources([tmp_path / "t.jsonl.gz"], out, on_error="skip")
    (reject,) = rejects_of(out)
    assert reject["row"] == report.n_rows + 1 > 1
    assert "damaged compressed data" in reject["reason"]


def test_skipped_spans_are_counted(tmp_path, out):
    span = {"attributes": {"gen_ai.operation.name": "embeddings"}, "spanId": "1"}
    source = jsonl(tmp_path / "t.jsonl", [span])
    with pytest.raises(TableError, match="got 1 embedding calls and no outcomes in files read as otel"):
        import_sources([source], out)
    call = {"gen_ai.request.model": "a", "gen_ai.input.messages": [{"role": "user", "content": "Hi"}]}
    assert import_sources([jsonl(source, [span, {"attributes": call, "spanId": "2"}])], out).skipped == {
        "embedding calls": 1
    }


def test_wide_rows_count_every_model(tmp_path, out):
    (tmp_path / "t.csv").write_text(
        "sample_id,prompt,eval_name,a,a|total_cost,b,b|total_cost\n1,Hi,t,0.5,0.1,7,0.1\n2,Ho,t,1,0.1,,\n", "utf-8"
    )
    report = import_sources([tmp_path / "t.csv"], out, on_error="skip")
    assert (report.n_rows, report.n_rejected) == (2, 1)
    assert (rejects_of(out)[0]["row"], rejects_of(out)[0]["record"]["model"]) == (2, "b")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("table.csv", {}, r"got a table ending in '\.csv', expected '\.parquet'"),
        ("missing/table.parquet", {}, "got a folder that does not exist"),
        ("folder.parquet", {}, "got a folder, expected a file"),
        ("t.parquet", {"format": "xml"}, "format: got 'xml', expected one of auto, alpaca_eval"),
        ("t.parquet", {"on_error": "ignore"}, "on_error: got 'ignore', expected one of fail, skip"),
        ("t.parquet", {"dates": "iso"}, "dates: got 'iso', expected one of day-first, month-first"),
        ("t.parquet", {"decimal": ","}, "decimal: got ',', expected one of point, comma"),
        ("t.parquet", {"columns": {"qualty": "x"}}, "got 'qualty', expected one of prompt_id.* did you mean 'quality'"),
        ("t.parquet", {"scale": (1, 1)}, "scale: got '1:1', expected WORST:BEST"),
        ("t.parquet", {"scale": "one:five"}, "scale: got 'one:five', expected WORST:BEST"),
        ("t.parquet", {"values": {"good": 2}}, "values: got 'good=2', expected WORD=QUALITY"),
        ("t.parquet", {"max_rejected": 1.5}, "max_rejected: got 1.5, expected a share"),
    ],
)
def test_impossible_wishes_are_errors(tmp_path, target, options, message):
    (tmp_path / "folder.parquet").mkdir()
    source = jsonl(tmp_path / "t.jsonl", [GOOD])
    with pytest.raises(TableError, match=message):
        import_sources([source], tmp_path / target, **options)


def test_table_among_its_sources_is_an_error(tmp_path):
    out = tmp_path / "table.parquet"
    import_sources([jsonl(tmp_path / "t.jsonl", [GOOD])], out)
    with pytest.raises(TableError, match="got a source that the import would replace"):
        import_sources([tmp_path], out)


def test_record_of_unknown_format_does_not_stop_those_behind_it(tmp_path, out):
    report = import_sources([jsonl(tmp_path / "t.jsonl", [{"x": 1}, GOOD])], out, on_error="skip")
    assert (report.n_rows, report.n_rejected) == (1, 1)


def test_deeply_nested_record_is_set_aside(tmp_path, out):
    """Somewhere below Python's recursion limit a record can be read and no longer written."""
    deep = [f'{{"prompt": "{n}", "model": "a", "cost_usd": -1, "x": {"[" * n}{"]" * n}}}' for n in range(900, 1000)]
    records = [json.dumps(GOOD), *deep]
    (tmp_path / "t.jsonl").write_text("\n".join(records), encoding="utf-8")
    report = import_sources([tmp_path / "t.jsonl"], out, on_error="skip", max_rejected="100%")
    assert report.n_rejected == len(rejects_of(out)) == 100


LINES = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt": st.sampled_from(["Hi", "Ho", "", 3, None, "\ud800"]),
            "model": st.sampled_from(["a", "b", "", {}]),
            "quality": st.sampled_from([0, 1, "0.5", 7, None, [1]]),
            "cost_usd": st.sampled_from([0.1, -1, "x"]),
            "grader": st.sampled_from(["exact", "\ud800"]),
        },
    ).map(json.dumps),
    st.sampled_from(["{", "[1]", "3", "null"]),
)


@given(lines=st.lists(LINES, max_size=8), batch=st.integers(1, 4))
def test_rows_written_and_rejected_are_the_rows_read(tmp_path_factory, lines, batch):
    folder = tmp_path_factory.mktemp("rows")
    out = folder / "table.parquet"
    lines = [*lines, json.dumps(GOOD | {"prompt": "last"})]
    (folder / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH_RECORDS", batch)
        report = import_sources([folder / "t.jsonl"], out, on_error="skip", max_rejected="100%", scale=(0, 1))
    assert report.n_rows + report.n_rejected + report.skipped.get(UNGRADED, 0) == len(lines)
    assert pl.read_parquet(out).height == report.n_rows
    assert len(rejects_of(out) or []) == report.n_rejected


def test_models_under_several_names_are_told(tmp_path):
    models = ["gpt-4o", "GPT-4o", "openai/gpt-4o", "gpt-4o-mini"]
    report = import_sources(
        [jsonl(tmp_path / "t.jsonl", [GOOD | {"model": model} for model in models])], tmp_path / "o.parquet"
    )
    assert report.alike == (("GPT-4o", "gpt-4o", "openai/gpt-4o"),)
    assert "GPT-4o, gpt-4o, openai/gpt-4o count as different models" in summary_text(report)


def test_the_answer_at_the_end_of_a_conversation_is_cut_and_counted(tmp_path):
    """Two models' answers to one prompt are outcomes of one prompt; ids of a table's own leave it as it is."""
    asked, called = {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"id": "1"}]}
    answers = [{"role": "assistant", "content": text} for text in "ab"]
    rows = [
        {"messages": [asked, answers[0]], "model": "a"},
        {"messages": json.dumps([asked, answers[1]]), "model": "b"},
        {"messages": [asked, called, {"role": "tool", "content": "7"}], "model": "c"},
        {"messages": [asked, answers[0]], "model": "d", "prompt_id": "own"},
    ]
    (source := tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = import_sources([source], tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert [len(json.loads(one)) for one in table["messages"]] == [1, 1, 3, 2]
    assert table["prompt_id"].n_unique() == 3
    assert (report.n_rows, report.skipped) == (4, {"answers at the end of messages": 2})


def test_a_system_prompt_beside_the_messages_is_a_part_of_the_prompt(tmp_path):
    """Requests that differ in nothing else are two prompts. The name of a system beside a text is not a prompt."""
    asked = [{"role": "user", "content": "Hi"}]
    rows = [
        {"messages": asked, "model": "a", "system": "Answer in French."},
        {"messages": json.dumps(asked), "model": "a", "system": [{"type": "text", "text": "Write SQL."}]},
        {"messages": [{"role": "system", "content": "Be brief."}, *asked], "model": "a", "system": "linux"},
        {"prompt": "Hi", "model": "a", "system": "linux"},
        {"messages": asked, "model": "a", "system": "linux", "prompt_id": "own"},
        {"messages": asked, "model": "a", "systemInstruction": {"parts": [{"text": "Be kind."}]}},
        {"prompt": "Hi", "model": "a", "system_prompt": "Be terse."},
    ]
    import_sources([jsonl(tmp_path / "t.jsonl", rows)], tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet")
    first = [json.loads(one)[0]["content"] if one else None for one in table["messages"]]
    assert first == ["Answer in French.", "Write SQL.", "Be brief.", None, "Hi", "Be kind.", "Be terse."]
    assert table["extra"].is_not_null().to_list() == [False, False, True, True, True, False, False]


def test_prompt_may_be_messages_or_the_variables_of_a_template(tmp_path):
    prompts = [
        [{"role": "user", "content": "Hi"}],
        {"role": "user", "content": "Ho"},
        {"question": "Who?", "lang": "fr"},
    ]
    source = jsonl(tmp_path / "t.jsonl", [{"prompt": one, "model": "a"} for one in prompts])
    import_sources([source], tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert [one and json.loads(one) for one in table["messages"]] == [prompts[0], [prompts[1]], None]
    assert table["prompt"][2] == "question: Who?\n\nlang: fr"


@pytest.mark.parametrize(
    "written",
    [
        '{"columns": ["prompt", "model"], "data": [["Hi", "a"], ["Ho", "b"]]}',
        '{"prompt": {"0": "Hi", "1": "Ho"}, "model": {"0": "a", "1": "b"}}',
    ],
)
def test_tables_of_pandas_and_wandb_are_read(tmp_path, written):
    (source := tmp_path / "t.json").write_text(written)
    import_sources([source], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet").select("prompt", "model").rows() == [("Hi", "a"), ("Ho", "b")]


def test_template_beside_its_variables_is_filled(tmp_path):
    rows = [{"prompt": "Sum up {{text}}", "variables": {"text": one}, "model": "a"} for one in ("cats", "dogs")]
    report = import_sources([jsonl(tmp_path / "t.jsonl", rows)], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["prompt"].to_list() == ["Sum up cats", "Sum up dogs"]
    assert report.told == {"prompts are templates, filled with the variables text": 2}
