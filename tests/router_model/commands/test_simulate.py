"""``router-model simulate``: its options, its words, and what it leaves behind when it is killed."""

import json
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from simulated_world import simulate as draw_table

from router_model.commands.simulate import read_world
from router_model.errors import TableError
from router_model.saved.artifact import save_artifact
from router_model.training.measuring.evaluate import seen_before


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Outcomes of 60 prompts that no router was trained on; a fourth model has billed costs alone."""
    path = tmp_path_factory.mktemp("unseen") / "outcomes.parquet"
    table = draw_table(60, seed=5).with_columns(cost_usd=pl.lit(None, pl.Float64))
    fourth = table.filter(pl.col("model") == "large").with_columns(model=pl.lit("huge"), cost_usd=pl.lit(0.5))
    pl.concat([table, fourth]).write_parquet(path)
    return path


def test_the_truth_in_words_and_as_json(trained, unseen, tmp_path):
    asked = ["simulate", trained.path, unseen, "--log", f"sqlite:///{tmp_path}/sim.db", "--spool", tmp_path / "spool"]
    asked += ["--requests", "80", "--explore", "0.5", "--redirect", "0.5", "small", "huge"]
    asked += ["--quality-change", "0.5", "large", "-0.2", "--task-change", "0.25", "poetry", "0"]
    done = run_command(*asked, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["n_prompts"], said["n_seen"], said["n_incomplete"]) == (60, 0, 0)
    assert said["counts"]["decisions"] == 80
    assert set(said["values"]) == {"as logged", "without exploration", "in hindsight", "coder", "large", "small"}
    assert [one["first"] for one in said["phases"]] == [0, 20, 40]
    assert said["phases"][2]["values"]["small"]["cost_usd"] == 0.5
    assert said["phases"][2]["changes"] == ["quality of large -0.2", "small answered by huge"]
    again = run_command(*asked)
    assert (again.returncode, "holds 80 decisions already" in again.stderr) == (2, True)
    shown = run_command(*asked, "--append").stdout
    assert "Asked 80 requests, drawn from 60 prompts." in shown
    assert "From request 40 (quality of large -0.2, small answered by huge): as logged 0." in " ".join(shown.split())
    with sqlite3.connect(tmp_path / "sim.db") as connection:
        assert connection.execute("SELECT count(*) FROM router_decisions").fetchone() == (160,)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--feedback", "2"], "Invalid value for '--feedback': 2.0 is not in the range 0<=x<=1"),
        (
            ["--explore-max-cost-ratio", "0"],
            "--explore-max-cost-ratio (or ROUTER_EXPLORE_MAX_COST_RATIO): input should",
        ),
        (["--retire", "0.5", "huge"], "there is no model 'huge' in this world; it has coder, large, small"),
        (["--redirect", "0.5", "small", "vast"], "the table has no outcomes of vast"),
        (["--log-prompts", "some"], "--log-prompts"),
        (["--log", "oracle://x"], "got the log 'oracle://x', expected sqlite:///path"),
        (["--price-change", "0.5", "small"], "Option '--price-change' requires 3 arguments"),
    ],
)
def test_mistakes_are_said(trained, unseen, options, match):
    done = run_command("simulate", trained.path, unseen, "--log", "none", "--requests", "5", *options)
    assert done.returncode == 2
    assert match in " ".join(done.stderr.split())


def test_a_missing_package_names_the_extra(trained, unseen, monkeypatch):
    monkeypatch.setitem(sys.modules, "router_model.serving.simulation.simulate", None)
    done = run_command("simulate", trained.path, unseen, "--log", "none")
    assert (done.returncode, "'simulate' needs the extra 'serve'" in done.stderr) == (2, True)


def test_training_prompts_and_incomplete_ones_are_left_out(trained, table, unseen, tmp_path):
    """Three prompts were trained on; of 60 others the first lacks an outcome. Costs are tokens at list prices."""
    outcomes = pl.read_parquet(table)
    prompts = outcomes["prompt"].unique(maintain_order=True).to_list()
    trained_on = [prompts[i] for i in np.flatnonzero(seen_before(trained.router, prompts))[:3]]
    seen = outcomes.filter(pl.col("prompt").is_in(trained_on))
    fresh = pl.read_parquet(unseen).filter(pl.col("model") != "huge").drop("cost_usd")[1:]
    pl.concat([seen, fresh]).write_parquet(tmp_path / "mixed.parquet")
    read = read_world(tmp_path / "mixed.parquet", trained.router)
    assert (len(read.world.prompts), read.n_seen, read.n_incomplete) == (59, 3, 1)
    one = fresh.filter((pl.col("model") == "small") & (pl.col("prompt_id") == "p5-1")).row(0, named=True)
    at = read.world.prompts.index(one["prompt"]), read.world.column("small")
    assert read.world.cost_usd[at] == pytest.approx(one["input_tokens"] * 0.1e-6 + one["output_tokens"] * 0.3e-6)
    assert len(read_world(tmp_path / "mixed.parquet", trained.router, include_seen=True).world.prompts) == 62
    seen.write_parquet(tmp_path / "seen.parquet")
    with pytest.raises(TableError, match=r"no prompt is left to ask: 3 were trained on, or nearly \(--include-seen"):
        read_world(tmp_path / "seen.parquet", trained.router)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_what_was_simulated_before_the_end_of_the_process_can_be_read(trained, unseen, tmp_path, end):
    log = ["--log", f"sqlite:///{tmp_path}/sim.db", "--spool", tmp_path / "spool"]
    typed = ["simulate", trained.path, unseen, "--requests", "50000", *log]
    process = subprocess.Popen(
        [sys.executable, "-m", "router_model", *map(str, typed)], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        for _ in range(1200):
            counted = run_command("log", "stats", *log)
            if counted.returncode == 0 and json.loads(counted.stdout)["decision"] >= 300:
                break
            time.sleep(0.1)
            assert process.poll() is None, process.stderr.read()
        process.send_signal(end)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    if end is signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted; what was simulated until then is in the log" in said
    out = run_command("log", "export", *log, "--out", tmp_path / "t.parquet")
    assert out.returncode == 0, out.stderr
    n_rows = pl.read_parquet(tmp_path / "t.parquet").height
    assert 300 <= n_rows < 50_000
    again = run_command(*typed)
    assert "decisions already, maybe of a simulation that was interrupted" in " ".join(again.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zeroeval"])
def test_a_real_table(name, real_data, real_run, tmp_path):
    """10,000 requests: the log adds up to the truth, and its propensities give back what the rule alone is worth."""
    _, router = real_run(name)
    save_artifact(router.artifact, tmp_path / "router")
    log = ["--log", f"sqlite:///{tmp_path}/sim.db", "--spool", tmp_path / "spool"]
    table = real_data / name / "outcomes.parquet"
    done = run_command("simulate", tmp_path / "router", table, *log, "--explore", "0.2", "--feedback", "1", "--json")
    assert done.returncode == 0, done.stderr
    truth = json.loads(done.stdout)
    assert truth["counts"]["decisions"] == truth["counts"]["judged"] == 10_000
    out = run_command("log", "export", *log, "--out", tmp_path / "t.parquet")
    assert out.returncode == 0, out.stderr
    rows = pl.read_parquet(tmp_path / "t.parquet")
    assert rows["quality"].mean() == pytest.approx(truth["values"]["as logged"]["quality"])
    assert rows["cost_usd"].mean() == pytest.approx(truth["values"]["as logged"]["cost_usd"])
    explored = rows["extra"].str.json_decode(pl.Struct({"explored": pl.Boolean})).struct.field("explored")
    weighted = rows["quality"] * (~explored).cast(pl.Float64) / rows["propensity"]
    off = weighted.mean() - truth["values"]["without exploration"]["quality"]
    assert abs(off) < 4 * weighted.std() / 100
    singles = [one["quality"] for label, one in truth["values"].items() if label in router.models]
    assert len(singles) == 28
    assert max(singles) == truth["values"][truth["best_single"]]["quality"] < truth["values"]["in hindsight"]["quality"]
