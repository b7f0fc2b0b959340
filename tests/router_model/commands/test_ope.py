"""`router-model ope` and `savings`: from a table and from a log's URL."""

import json
import re

import polars as pl
import pytest
from asked_log import written
from command_line import run_command
from explored_log import explored_log
from log_records import attempt, decision, feedback
from simulated_world import CATALOG
from written_page import text_of


@pytest.fixture(scope="module")
def log(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    explored_log(trained.router, 600)[0].write_parquet(path)
    return path


def test_a_router_on_its_own_log_is_a_tie(trained, log):
    done = run_command("ope", trained.path, "--log", log)
    assert done.returncode == 0, done.stderr
    assert "Evaluated on 600 of 600 decisions, 600 sessions." in done.stdout
    assert "The champion is the policy of the log, without its exploration." in done.stdout
    assert "Verdict: a tie: both choose the same models." in done.stdout


def test_tables_fit_into_80_columns_and_json_and_page_say_the_same(graded, trained, log, tmp_path):
    arguments = ("ope", graded.path, "--log", log, "--against", trained.path, "--no-track")
    done, as_json = run_command(*arguments), run_command(*arguments, "--json", "--html", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    found = json.loads(as_json.stdout)
    assert found["champion_path"] == str(trained.path)
    words = re.sub(r"\s+", " ", done.stdout)
    assert f"Verdict: {found['verdict']['sentence']}." in words
    assert set(found["challenger_minus_champion"]["by_estimator"]["quality"]) == {
        "DR", "IPS", "SNIPS", "switch-DR", "DRos", "sub-Gaussian"
    }  # fmt: skip
    assert "DR, anytime" in done.stdout
    assert found["verdict"]["sentence"][1:] in text_of(tmp_path / "page.html")


def test_a_log_is_read_by_its_url(trained, tmp_path):
    """40 decisions with feedback, of which one is of a kept session and one was degraded."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'log.db'}"
    changes = [{"messages": json.dumps(f"A question, number {n}")} for n in range(40)]
    changes[3]["reason"], changes[4]["degraded"] = "session", True
    decided = [decision(n, **each) for n, each in enumerate(changes)]
    written(url, *[*decided, *(attempt(n) for n in range(40)), *(feedback(n) for n in range(40))])
    options = ("--log", url, "--spool", tmp_path / "spool", "--supported-only", "--json")
    done = run_command("ope", trained.path, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n_logged"] == 40
    assert found["n_decisions"] == 38 - found["left_out"].get("on which a choice had propensity 0", 0)
    assert found["n_sessions"] <= 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--log", "nowhere.parquet"), "nowhere.parquet: no such file"),
        (("--log", "nowhere.parquet", "--since", "7d"), "--since, --until and --router need the URL of a log"),
        (("--log", "sqlite+aiosqlite:///nowhere.db"), "nowhere.db"),
    ],
)
def test_mistakes_are_said(trained, options, said):
    done = run_command("ope", trained.path, *options)
    assert done.returncode == 2 or "nowhere.db" in said
    assert done.returncode != 0
    assert said in re.sub(r"\s+", " ", done.stderr)


def test_savings_of_a_table_need_prices_or_a_router(trained, log, tmp_path):
    (tmp_path / "catalog.toml").write_text(CATALOG)
    without = run_command("savings", "--log", log)
    assert without.returncode == 2
    assert "no cost is known of any of 600 answers" in without.stderr
    done = run_command("savings", "--log", log, "--catalog", tmp_path / "catalog.toml")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert re.search(r"Spent \$0\.\d+ on 600 decisions", done.stdout)
    assert "large *" in done.stdout
    found = json.loads(run_command("savings", "--log", log, "--artifact", trained.path, "--json").stdout)
    assert set(found["singles"]) == {"small", "coder", "large"}
    assert found["verdict"]["sentence"]


@pytest.mark.parametrize("explored", [True, False])
def test_savings_of_a_log_that_cannot_tell_are_predicted(trained, log, tmp_path, explored):
    """No grades, or no exploration: what each model alone would cost is said, and that quality is not known."""
    table = pl.read_parquet(log).with_columns(cost_usd=pl.lit(0.001))
    if explored:
        table = table.with_columns(quality=pl.lit(None, pl.Float64))
    else:
        alone = [json.dumps({"propensities": {model: 1.0}, "preferred": model}) for model in table["model"]]
        table = table.with_columns(pl.Series("extra", alone), propensity=pl.lit(1.0))
    table.write_parquet(tmp_path / "log.parquet")
    arguments = ("savings", "--log", tmp_path / "log.parquet")
    without = run_command(*arguments)
    assert (without.returncode, "With --artifact" in without.stderr) == (2, True)
    done = run_command(*arguments, "--artifact", trained.path)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Spent $0.60 on 600 decisions." in done.stdout
    assert "Verdict: by prediction, routing" in done.stdout
    assert ("no answer is graded" in done.stdout) == explored
    found = json.loads(run_command(*arguments, "--artifact", trained.path, "--json").stdout)
    assert set(found["predicted"]) == {"small", "coder", "large"}
    assert found["n_graded"] == (0 if explored else table["quality"].count())
    shares = [1 - found["spent_usd"] / one["cost_usd"] for one in found["predicted"].values()]
    assert shares == pytest.approx([one["saving"]["value"] for one in found["predicted"].values()])
