"""``router-model drift`` on the calls of a made-up service, in which one thing after the other changes."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from asked_log import written
from command_line import run_command
from log_records import attempt, decision, feedback
from simulated_world import SUM, simulate
from written_page import text_of

from router_model.errors import TableError
from router_model.training.drift.watch import read_calls, watch

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def calls(trained):
    """600 calls as `log export` writes them: the model is drawn, so that each has about 200."""
    # The end of each prompt names its draw, which a classifier would find.
    outcomes = simulate(600, seed=9).with_columns(pl.col("prompt").str.replace("#9-", "#0-", literal=True))
    rng = np.random.default_rng(0)
    models = outcomes["model"].unique().sort()
    drawn = pl.DataFrame({"prompt_id": outcomes["prompt_id"].unique(maintain_order=True)})
    drawn = drawn.with_columns(model=pl.Series(models.gather(rng.integers(0, 3, size=drawn.height))))
    rows = drawn.join(outcomes, on=["prompt_id", "model"], how="left", maintain_order="left")
    table = trained.router.predict(rows["prompt"].to_list())
    column = [table.models.index(model) for model in rows["model"]]
    row = np.arange(len(column))
    cards = trained.router.artifact.catalog
    bills = [
        float(cards[model].cost_usd(input_tokens=n_in, output_tokens=n_out))
        for model, n_in, n_out in rows.select("model", "input_tokens", "output_tokens").iter_rows()
    ]
    predicted = {
        "p_success": table.p_success[row, column],
        "expected_cost_usd": table.expected_cost_usd[row, column],
        "expected_output_tokens": table.expected_output_tokens[row, column],
    }
    known = {"quality_bar": 0.5, "artifact": trained.router.artifact.content_hash}
    extra = [
        json.dumps({**known, **{name: float(values[i]) for name, values in predicted.items()}, "response_model": model})
        for i, model in enumerate(rows["model"])
    ]
    return rows.with_columns(
        cost_usd=pl.Series(bills),
        extra=pl.Series(extra),
        timestamp=pl.Series([BEGAN + timedelta(minutes=i) for i in row.tolist()]),
        session_id=pl.lit(None, pl.String),
        source=pl.lit("decision log"),
    ).drop("task")


def drift(trained, frame, tmp_path, *options):
    frame.write_parquet(tmp_path / "log.parquet")
    done = run_command("drift", trained.path, "--log", tmp_path / "log.parquet", *options)
    assert done.returncode in (0, 1), done.stderr
    return done


def of(trained, frame, tmp_path):
    done = drift(trained, frame, tmp_path, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == int(report["drifted"])
    return {(one["check"], one["subject"]) for one in report["findings"] if one["drifted"]}


def with_extra(frame, **changed):
    extra = [json.dumps({**json.loads(text), **changed}) for text in frame["extra"]]
    return frame.with_columns(extra=pl.Series(extra))


def test_nothing_has_changed(trained, calls, tmp_path):
    """Texts are read of the prompts that are compared, and not of all calls."""
    assert of(trained, calls, tmp_path) == set()
    assert {"prompt", "extra", "source"} == {*calls.columns} - {*read_calls(calls).columns}
    said = drift(trained, calls, tmp_path, "--html", tmp_path / "page.html").stdout
    assert "Nothing has changed in" in text_of(tmp_path / "page.html")
    assert "Checked 600 calls between 2026-11-01 00:00 and 2026-11-01 09:59; 600 are graded." in said
    assert "Verdict: no drift in" in said


def test_a_column_of_any_name_does_no_harm_and_another_table_halfway_is_said(trained, calls, tmp_path):
    log = tmp_path / "log.parquet"
    calls.with_columns(row=pl.lit(1), index=pl.lit("x")).write_parquet(log)
    assert watch(trained.router, log).findings
    read = read_calls(log)
    calls.reverse().write_parquet(log)
    with pytest.raises(TableError, match="was replaced while it was read"):
        watch(trained.router, log, calls=read)


def test_other_prompts(trained, calls, tmp_path):
    rng = np.random.default_rng(0)
    sums = [f"{' '.join(rng.choice(SUM.split(), size=5))} #{i}" for i in range(len(calls))]
    found = of(trained, calls.with_columns(prompt=pl.Series(sums), quality=pl.lit(None, pl.Float64)), tmp_path)
    assert ("traffic", "") in found
    assert {check for check, _ in found} == {"traffic", "form"}


def test_one_model_got_worse(trained, calls, tmp_path):
    worse = pl.when((pl.col("model") == "large") & (pl.int_range(pl.len()) % 3 > 0)).then(0.0).otherwise("quality")
    assert of(trained, calls.with_columns(quality=worse), tmp_path) == {("calibration", "large")}


def test_longer_answers_cost_more(trained, calls, tmp_path):
    doubled = calls.with_columns(pl.col("output_tokens") * 2, pl.col("cost_usd") * 2)
    found = of(trained, doubled, tmp_path)
    assert {("cost", "large"), ("tokens", "large")} <= found
    assert {check for check, _ in found} == {"cost", "tokens"}


def test_a_price_that_is_not_the_catalogs_and_another_model_behind_a_name(trained, calls, tmp_path):
    is_coder = pl.col("model") == "coder"
    dearer = calls.with_columns(cost_usd=pl.when(is_coder).then(5 * pl.col("cost_usd")).otherwise("cost_usd"))
    renamed = pl.concat([dearer.filter(~is_coder), with_extra(dearer.filter(is_coder), response_model="coder-max")])
    assert of(trained, renamed, tmp_path) == {("cost", "coder"), ("price", "coder"), ("answering model", "coder")}


def test_a_model_that_was_added_elsewhere(trained, calls, tmp_path):
    new = calls.with_columns(model=pl.when(pl.int_range(pl.len()) < 30).then(pl.lit("new")).otherwise("model"))
    assert of(trained, new, tmp_path) == {("unknown model", "new")}


def test_what_people_and_prometheus_read(trained, calls, tmp_path):
    worse = calls.with_columns(quality=pl.when(pl.col("model") == "large").then(0.0).otherwise("quality"))
    done = drift(trained, worse, tmp_path, "--prometheus", tmp_path / "drift.prom")
    assert done.returncode == 1
    assert "calibration" in done.stdout
    assert "Do: retrain with graded prompts of this model or task" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    metrics = (tmp_path / "drift.prom").read_text()
    assert 'router_drift_drifted{check="calibration",subject="large"} 1.0' in metrics


def test_a_log_by_its_url(trained, tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    records = [record for i in range(40) for record in (decision(i), attempt(i), feedback(i, 0.9))]
    written(url, *records)
    spool = ("--spool", tmp_path / "spool")
    done = run_command("drift", trained.path, "--log", url, *spool, "--json")
    assert json.loads(done.stdout)["n_calls"] == 40
    assert "Left out" not in done.stderr
    none = run_command("drift", trained.path, "--log", url, *spool, "--since", "2027-01-01")
    assert (none.returncode, "the log has no call of this time" in none.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("missing.parquet",), "no such file"),
        (("sqlite:///missing.db",), "missing.db"),
        (("log.parquet", "--since", "7d"), "need the URL of a log"),
        (("sqlite:///missing.db", "--since", "1d", "--until", "2d"), "is not earlier than"),
    ],
)
def test_what_cannot_be_checked(trained, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    done = run_command("drift", trained.path, "--log", *options)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_a_table_that_is_no_log(trained, table):
    done = run_command("drift", trained.path, "--log", table)
    assert done.returncode == 2
    assert "column timestamp, extra, cost_usd missing; give a table of 'router-model log export'" in done.stderr
