"""The whole benchmark, as the command runs it."""

import json
import re
from dataclasses import replace

import pytest
from command_line import run_command
from fake_results import fake_results
from simulated_world import CATALOG, simulate

from router_model import Catalog
from router_model.errors import RequestError
from router_model.training.benchmark.benchmark import Bench, BenchmarkConfig
from router_model.training.benchmark.guard import falls
from router_model.training.benchmark.methods import methods_named
from router_model.training.benchmark.results import Interval, Results

pytestmark = pytest.mark.slow

METHODS = "best single,linear,kNN"


def benchmark(*arguments):
    return run_command("benchmark", *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    simulate(400).write_parquet(folder / "outcomes.parquet")
    simulate(80, seed=5).write_parquet(folder / "other.parquet")
    (folder / "catalog.toml").write_text(CATALOG)
    return folder


def prepared(folder, **config):
    return Bench.prepare(
        folder / "outcomes.parquet",
        catalog=Catalog.load(folder / "catalog.toml"),
        config=BenchmarkConfig(n_seeds=1, n_resamples=50, **config),
    )


@pytest.fixture(scope="module")
def measuring(folder):
    """The arguments of a command, and what it answered: ours is trained for a seed and for each task left out."""
    arguments = [
        folder / "outcomes.parquet", "--catalog", folder / "catalog.toml", "--out", folder / "report", "--seeds", 1,
        "--methods", f"{METHODS},ours", "--resamples", 100,
    ]  # fmt: skip
    return arguments, benchmark(*arguments, "--shift", "task")


def test_the_command_writes_results_and_a_report_and_names_the_winner(folder, measuring):
    """The world has three kinds of prompts and a best model for each: a linear router beats the best single model."""
    out, (_, done) = folder / "report", measuring
    assert done.returncode == 0, done.stderr
    results = Results.load(out / "results.json")
    assert [method.name for method in results.methods] == ["best single", "kNN", "linear", "ours"]
    heights = {method.name: method.metrics["aiq"].value for method in results.methods}
    assert min(heights["ours"], heights["linear"]) > heights["best single"] + 0.01
    assert results.method("linear").ours_minus["aiq"].value == pytest.approx(heights["ours"] - heights["linear"])
    assert results.provenance["command"].startswith("router-model benchmark")
    shift = Results.load(out / "shift.json")
    assert [trial.name for trial in shift.trials] == ["arithmetic left out", "code left out", "poetry left out"]
    page = (out / "report.html").read_text()
    assert all(f">{name}<" in page for name in ("kNN", "linear", "ours"))
    assert "leakage audit" in done.stdout
    assert "AIQ, ours minus each rival" in done.stdout


def test_a_second_table_is_tested_on_and_json_is_printed(folder):
    done = benchmark(
        folder / "outcomes.parquet", "--test", folder / "other.parquet", "--catalog", folder / "catalog.toml",
        "--out", folder / "two", "--seeds", 1, "--methods", METHODS, "--resamples", 50, "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["trials"][0]["n_test"] == 80
    assert document["provenance"]["test_table"]["n_prompts"] == 80
    assert document["not_run"] == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "kNN,astrology"], "unknown 'astrology'"),
        (["--seeds", "0"], "0 seeds; expected 1 or more"),
        (["--models", "small"], "one model .small.; a router needs at least 2"),
        (["--models", "small,gpt-9"], "no outcomes of gpt-9"),
        (["--max-prompts", "20"], "20 prompts to learn from; expected 70 or more"),
        (["--quality-bar", "1.5"], "quality bar 1.5"),
        (["--baseline", "nowhere.json"], "nowhere.json: no such file"),
        (["--out", __file__], "is a file; expected a folder"),
        (["--test", "nowhere.parquet"], "nowhere.parquet: no such file"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_error(folder, options, said):
    done = benchmark(
        folder / "outcomes.parquet", "--catalog", folder / "catalog.toml", "--out", folder / "bad",
        "--methods", "best single", *options,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.search(said, done.stderr), done.stderr


def test_fewer_prompts_teach_and_the_same_ones_test(folder):
    whole, limited = (prepared(folder, max_prompts=limit).measure(methods_named(METHODS)) for limit in (None, 70))
    assert (limited.trials[0].n_train, limited.trials[0].n_validation) == (60, 10)
    assert limited.trials[0].n_test == whole.trials[0].n_test


def test_twins_are_on_one_side_of_a_split_and_left_out_of_a_test_table_where_asked_for(tmp_path, catalog):
    frame = simulate(300)
    copies = frame.with_columns(prompt_id="copy-" + frame["prompt_id"])
    frame.vstack(copies).write_parquet(tmp_path / "outcomes.parquet")
    frame.vstack(simulate(60, seed=8)).write_parquet(tmp_path / "test.parquet")

    def measured(*, dedupe, test_table=None):
        config = BenchmarkConfig(n_seeds=1, n_resamples=20, dedupe=dedupe)
        bench = Bench.prepare(tmp_path / "outcomes.parquet", test_table=test_table, catalog=catalog, config=config)
        return bench.measure(methods_named("best single"))

    (split,) = measured(dedupe=False).leakage["trials"].values()
    assert (split["n_exact"], split["n_near"]) == (0, 0)
    kept, without = (measured(dedupe=dedupe, test_table=tmp_path / "test.parquet") for dedupe in (False, True))
    (counted,) = kept.leakage["trials"].values()
    twins = counted["n_exact"] + counted["n_near"]
    assert twins > 200  # 85 % of the originals are in training, the others in validation
    assert without.trials[0].n_test <= counted["n_test"] - twins
    assert "left out" in without.leakage["summary"]


def test_a_fall_beyond_noise_is_told_and_one_within_is_not():
    """AIQ of ours falls by 0.002 (within 0.003) and then by 0.01; log-loss rises by 0.01."""
    recorded = fake_results()

    def changed(name, by):
        methods = tuple(
            replace(m, metrics={**m.metrics, name: Interval(m.metrics[name].value + by)}) if m.name == "ours" else m
            for m in recorded.methods
        )
        return replace(recorded, methods=methods)

    assert falls(recorded, recorded) == []
    assert falls(changed("aiq", -0.002), recorded) == []
    assert falls(changed("aiq", +0.05), recorded) == []
    (fallen,) = falls(changed("aiq", -0.01), recorded)
    assert "worse by 0.0100, and up to 0.003 is noise" in fallen
    assert len(falls(changed("log_loss", +0.01), recorded)) == 1
    with pytest.raises(RequestError, match="measured on another setting"):
        falls(replace(recorded, provenance={**recorded.provenance, "setting": {"seeds": 99}}), recorded)
    with pytest.raises(RequestError, match="has no method 'theirs'"):
        falls(recorded, recorded, method="theirs")


@pytest.mark.slow
def test_the_command_fails_where_ours_has_fallen(folder, measuring):
    """Measured again, against what was measured first with its AIQ raised by 0.2."""
    arguments, _ = measuring
    recorded = json.loads((folder / "report" / "results.json").read_text())
    (ours,) = [method for method in recorded["methods"] if method["name"] == "ours"]
    ours["metrics"]["aiq"]["value"] += 0.2
    (folder / "raised.json").write_text(json.dumps(recorded))
    done = benchmark(*arguments, "--baseline", folder / "raised.json")
    assert done.returncode == 1
    assert "fallen: ours: AIQ" in done.stdout
