"""Sources that would be read wrongly stop the import, which prints the command that reads them."""

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from router_model.errors import TableError
from router_model.training.commands import import_table
from router_model.training.importing import batches, import_sources

CASES = Path(__file__).parents[4] / "shared" / "cases" / "import"


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "o.parquet"


def rated(path, qualities, column="quality"):
    records = [{"prompt": f"p{n}", "model": "m", column: quality} for n, quality in enumerate(qualities)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def stopped(sources, out, **options):
    """Return the message of an import that must stop, and leave nothing."""
    with pytest.raises(TableError) as caught:
        import_sources(sources, out, **options)
    assert list(out.parent.iterdir()) == []
    return str(caught.value)


def commands_in(message):
    return [line.strip() for line in message.splitlines() if line.startswith("  router-model import ")]


def run(command):
    words = shlex.split(command)
    result = CliRunner().invoke(import_table.command, words[2:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return pl.read_parquet(words[-1])


def proposed(sources, out, **options):
    """Run what the message of a stopped import proposes; return the last table."""
    tables = [run(command) for command in commands_in(stopped(sources, out, **options))]
    return tables[-1]


# --- qualities on another scale --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "qualities"),
    [
        ("rank", [1, 2, 3], [1.0, 0.5, 0.0]),
        ("hallucination", [0.25, 1.0], [0.75, 0.0]),
        ("cost", [0.5, 0.0], [0.5, 1.0]),
        ("failed", [True, False], [0.0, 1.0]),
        ("is_incorrect", ["false", "true"], [1.0, 0.0]),
    ],
)
def test_a_measure_of_harm_is_turned_round_by_what_the_message_proposes(tmp_path, out, column, values, qualities):
    source = rated(tmp_path / "t.jsonl", values, column)
    assert proposed([source], out, columns={"quality": column})["quality"].to_list() == qualities


def test_lists_and_objects_as_qualities_name_the_way_into_them(tmp_path, out):
    source = rated(tmp_path / "t.jsonl", [[0.2, 0.9], [1, 0.5]])
    assert "--column quality=quality.0" in stopped([source], out)
    import_sources([source], out, columns={"quality": "quality.1"})
    assert pl.read_parquet(out)["quality"].to_list() == [0.9, 0.5]


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize(
    ("qualities", "expected"),
    [
        ([1, 2, 5, 3, 4], [0, 0.25, 1, 0.5, 0.75]),
        (["1", "2", "5"], [0, 0.25, 1]),
        ([1] * 99 + [5], [0] * 99 + [1]),
        ([0, 1, 0, 1, 5], [0, 0.2, 0, 0.2, 1]),
        ([1, 2, 2], [0, 1, 1]),
        ([0, 1, 2], [0, 0.5, 1]),
        ([4.5, 3.5, 5], [0.875, 0.625, 1]),
        ([0, 10, 7], [0, 1, 0.7]),
        ([1, 10], [0, 1]),
        ([85, 40], [0.85, 0.4]),
        ([0.5, 85.5, 99], [0.005, 0.855, 0.99]),
        (["85%", "7.5 %"], [0.85, 0.075]),
        (["4/5", "1/5"], [0.8, 0.2]),
        ([-1, 1, 1], [0, 1, 1]),
        ([-0.5, 0.5, -1], [0.25, 0.75, 0]),
        (["good", "bad", "good"], [1, 0, 1]),
        (["Yes", "no", "N/A"], [1, 0, None]),
        (["pass", "fail"], [1, 0]),
        (["👍", "👎"], [1, 0]),
        (["A", "B", "F"], [1, 0.75, 0]),
        ([-5, -1, 0], [0, 0.8, 1]),
    ],
)
def test_other_scale_stops_the_import_and_its_command_reads_it(tmp_path, out, qualities, expected, on_error):
    table = proposed([rated(tmp_path / "t.jsonl", qualities)], out, on_error=on_error)
    assert table["quality"].to_list() == pytest.approx(expected)


def test_scale_that_shows_late_stops_the_import(tmp_path, out, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_RECORDS", 10)
    message = stopped([rated(tmp_path / "t.jsonl", [0, 1] * 50 + [5])], out, on_error="skip")
    assert "101 whole numbers from 0 to 5" in message


@pytest.mark.parametrize(
    ("qualities", "hint"),
    [
        ([1, 2, 5], "--scale 5:1"),
        ([0, 1, -1], "--values -1="),
        ([-3.5, -1], "--scale -1:-4"),
        ([3, 900], "--scale 900:3"),
    ],
)
def test_message_names_the_other_ways_to_read_numbers(tmp_path, out, qualities, hint):
    assert hint in stopped([rated(tmp_path / "t.jsonl", qualities)], out)


def test_measure_that_is_best_when_small_is_not_read_as_it_is(tmp_path, out):
    source = rated(tmp_path / "t.jsonl", [0.25, 0.75], column="error_rate")
    table = proposed([source], out, columns={"quality": "error_rate"})
    assert table["quality"].to_list() == [0.75, 0.25]


def test_unknown_words_are_listed_for_their_worth(tmp_path, out):
    message = stopped([rated(tmp_path / "t.jsonl", ["meh", "wow", "wow"])], out)
    assert "the words 'wow' (2), 'meh' (1)" in message
    assert "--values meh=QUALITY,wow=QUALITY" in message
    message = stopped([rated(tmp_path / "t.jsonl", [f"essay {n}" for n in range(40)])], out)
    assert "40 texts such as 'essay 0'" in message


@pytest.mark.parametrize(
    ("qualities", "n_rejected"),
    [([0.5] * 30 + [7], 1), ([0.5, 1, 1.7], 1), ([0.5] * 50 + ["x", "y"], 2), ([0, 1, True], 0)],
)
def test_single_strays_are_bad_rows(tmp_path, out, qualities, n_rejected):
    report = import_sources([rated(tmp_path / "t.jsonl", qualities)], out, on_error="skip")
    assert (report.n_rows, report.n_rejected) == (len(qualities) - n_rejected, n_rejected)


def test_stated_scale_of_zero_to_one_makes_the_rest_bad_rows(tmp_path, out):
    source = rated(tmp_path / "t.jsonl", [0, 1] * 30 + [5])
    assert import_sources([source], out, on_error="skip", scale="0:1").n_rejected == 1


def test_sources_of_different_scales_get_a_command_each(tmp_path, out):
    names = [rated(tmp_path / f"{n}.jsonl", qualities) for n, qualities in enumerate([[1, 5], [0.5, 1], [0, 100]])]
    for number, path in enumerate(names):
        path.write_text(path.read_text("utf-8").replace('"m"', f'"m{number}"'), encoding="utf-8")
    table = proposed(names, out)
    assert table["quality"].to_list() == [0, 1, 0.5, 1, 0, 1]


def test_scale_is_not_put_on_sources_that_are_on_ours(tmp_path, out):
    one_to_five, ours = rated(tmp_path / "a.jsonl", [0, 5, 3]), rated(tmp_path / "b.jsonl", [0.5, 0.9])
    assert "would bring close together" in stopped([one_to_five, ours], out, scale="0:5")
    import_sources([ours], out)
    ours.unlink()
    report = import_sources(
        [out, rated(tmp_path / "a.jsonl", [0, 5])], tmp_path / "both.parquet", scale="0:5", on_error="skip"
    )
    assert pl.read_parquet(report.out)["quality"].to_list() == [0.5, 0.9]


# --- columns with other names ----------------------------------------------------------------------------

OWN = {"question": "Name a prime.", "model_name": "m", "correct": True, "cost": 0.25}
BESIDE = {"prompt": "Hi", "model": "m", "quality": 1}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (OWN, {"prompt": "Name a prime.", "model": "m", "quality": 1, "cost_usd": 0.25}),
        (
            BESIDE | {"cost": "$0.5", "latency_ms": 1500, "tokens_in": "1,234", "completion_tokens": 5},
            {"cost_usd": 0.5, "latency_s": 1.5, "input_tokens": 1234, "output_tokens": 5},
        ),
        (BESIDE | {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, {"input_tokens": 3, "output_tokens": 4}),
        (BESIDE | {"response_time": 850}, {"latency_s": 0.85}),
        (BESIDE | {"latency": 1.5}, {"latency_s": 1.5}),
        (BESIDE | {"conversation_id": "c1"}, {"session_id": "c1"}),
        ({"Prompt": "Hi", "Model": "m", "Quality": "0.5"}, {"prompt": "Hi", "model": "m", "quality": 0.5}),
        ({"promt": "Hi", "modle": "m", "qualty": 0.5}, {"prompt": "Hi", "model": "m", "quality": 0.5}),
        ({"query": "Hi", "llm": "m", "rating": 4}, {"prompt": "Hi", "model": "m", "quality": 0.75}),
        ({"input": [{"role": "user", "content": "Hi"}], "engine": "m", "grade": "B"}, {"model": "m", "quality": 0.75}),
        ({"prompt": "Hi", "score": 1}, {"prompt": "Hi", "model": "NAME", "quality": 1}),
        (BESIDE | {"label": "Paris", "score": 1, "quality": None}, {"quality": 1}),
    ],
)
def test_near_names_stop_the_import_and_the_command_reads_them(tmp_path, out, record, expected, on_error):
    (tmp_path / "t.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    row = proposed([tmp_path / "t.jsonl"], out, on_error=on_error).row(0, named=True)
    assert {name: row[name] for name in expected} == expected


def test_all_about_a_source_is_told_at_once(tmp_path, out):
    record = {"question": "Hi", "llm": "m", "stars": 4, "created_at": "03/04/2025", "price": "1,234"}
    last = record | {"question": "Ho", "stars": 1, "created_at": "31/12/2025", "price": "0,5"}
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(record)}\n{json.dumps(last)}\n", encoding="utf-8")
    row = proposed([tmp_path / "t.jsonl"], out).row(0, named=True)
    assert (row["quality"], row["cost_usd"], row["timestamp"].isoformat()[:10]) == (0.75, 1.234, "2025-04-03")


def test_row_errors_of_several_columns_are_told_at_once(tmp_path, out):
    records = [BESIDE | {"cost_usd": "x"}, {"prompt": "Ho", "model": "m", "latency_s": -1}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    message = stopped([tmp_path / "t.jsonl"], out)
    assert re.findall(r"row (\d), column '(\w+)'", message) == [("1", "cost_usd"), ("2", "latency_s")]


def test_column_that_is_not_there_may_be_left_out(tmp_path, out):
    (tmp_path / "t.jsonl").write_text(json.dumps(BESIDE | {"cost": 3}) + "\n", encoding="utf-8")
    assert import_sources([tmp_path / "t.jsonl"], out, columns={"cost_usd": ""}).unknown_columns == ("cost",)


def test_mistyped_field_gets_a_proposal(tmp_path, out):
    (tmp_path / "t.jsonl").write_text(json.dumps(BESIDE | {"verdict": 0.5}) + "\n", encoding="utf-8")
    message = stopped([tmp_path / "t.jsonl"], out, columns={"quality": "verdit"})
    assert "no record has 'verdit' (--column quality=); did you mean 'verdict'?" in message
    assert run(*commands_in(message))["quality"].to_list() == [0.5]


def test_field_that_no_source_has_is_an_error_also_of_several(tmp_path, out):
    paths = [rated(tmp_path / f"{n}.jsonl", [0.5] * (n + 1)) for n in range(2)]
    paths[1].write_text(paths[1].read_text("utf-8").replace('"m"', '"n"'), encoding="utf-8")
    assert "no record has 'took'" in stopped(paths, out, columns={"latency_s": "took"})


def test_columns_and_model_also_complete_records_of_tools(tmp_path, out):
    call = {"messages": "Hi", "response_cost": 0.5, "model": "m", "my": {"grade": 0.25}}
    bench = {"records": [{"origin_query": "Ho", "score": 1}]}
    (tmp_path / "a.json").write_text(json.dumps([call]), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(bench), encoding="utf-8")
    import_sources([tmp_path / "a.json", tmp_path / "b.json"], out, columns={"quality": "my.grade"}, model="n")
    table = pl.read_parquet(out)
    assert (table["model"].to_list(), table["quality"].to_list()) == (["m", "n"], [0.25, 1])


# --- rejected rows ---------------------------------------------------------------------------------------


def costs(path, n_bad, n_rows):
    records = [{"prompt": f"p{n}", "model": "m", "cost_usd": -1 if n < n_bad else 1} for n in range(n_rows)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("n_bad", "n_rows", "max_rejected"), [(5, 100, "5%"), (1, 3, "5%"), (6, 100, 0.06), (6, 100, "6"), (6, 100, 6)]
)
def test_few_rows_rejected_for_one_reason_are_bad_rows(tmp_path, out, n_bad, n_rows, max_rejected):
    source = costs(tmp_path / "t.jsonl", n_bad, n_rows)
    assert import_sources([source], out, on_error="skip", max_rejected=max_rejected).n_rejected == n_bad


@pytest.mark.parametrize(
    ("n_bad", "n_rows", "max_rejected"), [(6, 100, "5%"), (2, 3, "5%"), (6, 100, "5"), (1, 3, 0), (20, 100, "10%")]
)
def test_many_rows_rejected_for_one_reason_are_a_wrong_reading(tmp_path, out, n_bad, n_rows, max_rejected):
    message = stopped([costs(tmp_path / "t.jsonl", n_bad, n_rows)], out, on_error="skip", max_rejected=max_rejected)
    assert f"{n_bad} of {n_rows} rows" in message
    assert run(*commands_in(message)).height == n_rows - n_bad


def test_share_is_that_of_a_source(tmp_path, out):
    few, many = costs(tmp_path / "a.jsonl", 3, 10), costs(tmp_path / "b.jsonl", 0, 500)
    assert "3 of 10 rows" in stopped([few, many], out, on_error="skip")


def test_repeated_calls_are_no_wrong_reading(tmp_path, out):
    source = rated(tmp_path / "t.jsonl", [0.5] * 10)
    source.write_text(source.read_text("utf-8") * 3, encoding="utf-8")
    assert import_sources([source], out, on_error="skip").n_rejected == 20


def test_failing_import_says_what_skipping_needs(tmp_path, out):
    assert "--on-error skip --max-rejected 6" in stopped([costs(tmp_path / "t.jsonl", 6, 100)], out)


# --- the cases of issue 12 -------------------------------------------------------------------------------


@pytest.mark.skipif(not CASES.exists(), reason="../shared/cases is not here")
@pytest.mark.parametrize("name", ["own_columns.jsonl", "cost_named_cost.jsonl"])
def test_cases_with_other_names_are_read_by_the_proposed_command(out, name):
    assert proposed([CASES / name], out)["cost_usd"].to_list()[0] == 0.0002


@pytest.mark.skipif(not CASES.exists(), reason="../shared/cases is not here")
@pytest.mark.parametrize(("name", "quality"), [("py_repr_messages.csv", 1), ("litellm_duplicate_graded.jsonl", 0.9)])
def test_cases_that_are_plain_are_read(out, name, quality):
    import_sources([CASES / name], out)
    assert pl.read_parquet(out)["quality"].to_list() == [quality]


def test_fields_inside_json_text_are_found_as_those_inside_objects(tmp_path, out):
    """CSV files hold the usage of a call so; a prompt that is JSON is not read as fields."""
    usage = json.dumps({"prompt_tokens": 9, "completion_tokens": 5})
    row = {"prompt": '{"cost": 3}', "model": "m", "quality": 1, "usage": usage}
    (source := tmp_path / "t.jsonl").write_text(json.dumps(row), encoding="utf-8")
    table = proposed([source], out)
    assert table.select("input_tokens", "output_tokens", "cost_usd").row(0) == (9, 5, None)


@pytest.mark.parametrize(
    ("fields", "options", "seen", "proposed"),
    [
        ({"cost": 5, "cost_currency": "cents"}, {}, "'cost_currency' says 'cents'", "cost_usd=cost:cents"),
        ({"cost": 5, "currency": "EUR"}, {"columns": {"cost_usd": "cost"}}, "'currency' says 'EUR'", "cost_usd="),
        ({"cost": "€0.50"}, {}, "'cost' looks like cost_usd, but holds '€0.50'", "cost_usd="),
    ],
)
def test_costs_in_another_currency_are_not_read_as_dollars(tmp_path, fields, options, seen, proposed):
    (source := tmp_path / "t.jsonl").write_text(json.dumps({"prompt": "Hi", "model": "a", "quality": 1} | fields))
    with pytest.raises(TableError) as refused:
        import_sources([source], tmp_path / "o.parquet", **options)
    assert seen in str(refused.value)
    assert f" {proposed} --out" in str(refused.value)
    assert str(refused.value).count("--column cost_usd=cost") <= proposed.count("cost:cents")
    import_sources([source], tmp_path / "o.parquet", columns=dict([proposed.split("=")]))


@pytest.mark.parametrize(
    ("fields", "proposed"),
    [
        ({"feedback_scores": [{"name": "truth", "value": 0.5}]}, "quality=feedback_scores.truth"),
        ({"scores": {"Factuality": 0.5}}, "quality=scores.Factuality"),
        ({"conversations": [{"from": "human", "value": "Hi"}], "prompt": ""}, "messages=conversations"),
        ({"log": {"a": {"b": '{"usage": {"prompt_tokens": 3}}'}}}, "input_tokens=log.a.b.usage.prompt_tokens"),
        ({"config": {"maxOutputTokens": 9}, "score": 1}, "quality=score --out"),  # a limit is no count
        ({"cost": {"input": 0.1, "total": 0.3}}, "cost_usd=cost.total"),
        ({"input_cost": 0.1, "output_cost": 0.2}, "cost_usd=input_cost+output_cost"),
        ({"tokens": {"input": 3, "output": 4}}, "input_tokens=tokens.input --column output_tokens=tokens.output"),
        ({"prompt": "", "question": "Hi", "context": "It is"}, "prompt=context+question"),
        ({"stars": "★★★☆☆"}, "quality=stars --values '★★★☆☆=0.5'"),
        ({"grade": "B+"}, "quality=grade --values b+=0.825"),
    ],
)
def test_fields_of_other_tools_are_proposed(tmp_path, fields, proposed):
    (source := tmp_path / "t.jsonl").write_text(json.dumps({"prompt": "Hi", "model": "a"} | fields))
    with pytest.raises(TableError, match=re.escape(f"--column {proposed}")):
        import_sources([source], tmp_path / "o.parquet")


def test_field_that_most_records_have_is_proposed_before_a_likelier_name(tmp_path):
    records = [{"model": "a", "input": {"text" if n else "question": "Hi"}} for n in range(3)]
    (source := tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"model": "a", "p": one}) for one in records))
    with pytest.raises(TableError, match=r"'p\.input\.text' looks like prompt \(or 'p\.input\.question'"):
        import_sources([source], tmp_path / "o.parquet")


def test_values_of_several_models_in_one_record_are_not_taken_for_one(tmp_path):
    results = {"a": {"score": 1}, "b": {"score": 0}}
    (source := tmp_path / "t.jsonl").write_text(json.dumps({"prompt": "Hi", "results": results}))
    with pytest.raises(TableError, match=r"belong to different\s+models,\s+write\s+a\s+record"):
        import_sources([source], tmp_path / "o.parquet")


@pytest.mark.parametrize(("scale", "told"), [(None, 1), ("1:0", 0)])
def test_grade_that_falls_where_another_rises_is_told(tmp_path, scale, told):
    """Nastiness is 1 where the score is 0, but for every fourth record."""
    rows = [
        {"prompt": f"p{n}", "model": "a", "nastiness": n % 2, "score": int(n % 2 == (n % 4 == 3))} for n in range(40)
    ]
    (source := tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = import_sources([source], tmp_path / "o.parquet", columns={"quality": "nastiness"}, scale=scale)
    assert len(report.told) == told
    assert all(what.startswith("qualities fall where 'score' rises (correlation -0.58)") for what in report.told)
