"""``router-model retrain``: the tables of the former router and the log of its service teach one new router."""

import json
from dataclasses import asdict

import polars as pl
import pytest
from command_line import run_command
from simulated_world import BOLD, simulate

from router_model.errors import TableError
from router_model.router import Router
from router_model.training.retrain import logged_rows, retrain


@pytest.fixture(scope="module")
def service(trained, tmp_path_factory):
    """The URL of the log of 600 simulated requests with new prompts, three in ten graded, one in five explored."""
    folder = tmp_path_factory.mktemp("service")
    table, url = folder / "world.parquet", f"sqlite:///{folder}/log.db"
    simulate(400, seed=5).write_parquet(table)
    options = ("--requests", 600, "--feedback", 0.3, "--explore", 0.2, "--spool", folder / "spool", "--seed", 1)
    done = run_command("simulate", trained.path, table, "--log", url, *options)
    assert done.returncode == 0, done.stderr
    return url, folder / "spool"


@pytest.fixture(scope="module")
def retrained(trained, table, service, tmp_path_factory):
    url, spool = service
    out = tmp_path_factory.mktemp("retrained") / "router"
    done = run_command(
        "retrain", "--log", url, "--spool", spool, "--base", trained.path, "--table", table, "--out", out,
        "--no-track", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_the_new_router_has_learned_from_table_and_log(retrained, trained):
    report, out = retrained
    assert report["base"] == trained.report.content_hash
    assert report["provenance"]["config"] == json.loads(json.dumps(asdict(BOLD)))
    assert report["n_train"] > trained.report.n_train
    assert sum(one["n_calls"] for one in report["logged"]) == 600
    assert 120 < sum(one["n_graded"] for one in report["logged"]) < 240
    assert Router.load(out).models == trained.router.models


def test_certificates_come_from_full_evaluations(retrained, trained):
    """The log's prompts lack two of three outcomes, and these would count as failures."""
    report, _ = retrained
    n_before, n_now = trained.report.certificates[0].n_prompts, report["certificates"][0]["n_prompts"]
    assert (n_before, n_now, report["certificates"][0]["n_missing"]) == (57, 57, 0)
    assert report["n_calibration"] > 57


def test_the_base_stays_as_it_is(trained, table):
    with pytest.raises(TableError, match="is the router that serves; name another folder"):
        retrain("log.parquet", trained.path, trained.path, tables=[table])
    assert Router.load(trained.path).artifact.content_hash == trained.report.content_hash


def test_a_log_alone_is_not_enough(trained, service, tmp_path):
    url, spool = service
    done = run_command("retrain", "--log", url, "--spool", spool, "--base", trained.path, "--out", tmp_path / "new")
    assert (done.returncode, "no --table given" in done.stderr) == (2, True)


def test_tables_of_another_router_are_refused(trained, table, service, tmp_path):
    url, spool = service
    pl.read_parquet(table).with_columns(pl.col("model") + "-v2").write_parquet(tmp_path / "other.parquet")
    options = ("--base", trained.path, "--table", tmp_path / "other.parquet", "--out", tmp_path / "new")
    done = run_command("retrain", "--log", url, "--spool", spool, *options)
    assert done.returncode == 2
    assert "have outcomes of coder-v2, large-v2, small-v2, and none of coder, large, small, which --base" in done.stderr


def test_rows_by_hand():
    log = pl.DataFrame(
        {
            "model": ["a", "a", "a", "b"],
            "quality": [1.0, 0.0, None, 1.0],
            "propensity": [0.9, 0.1, 0.5, None],  # weights 10/9 and 10; without a propensity, none
        }
    )
    a, b = logged_rows(log)
    assert (a.model, a.n_calls, a.n_graded) == ("a", 3, 2)
    assert a.n_effective == pytest.approx((10 / 9 + 10) ** 2 / ((10 / 9) ** 2 + 100))
    assert (b.n_calls, b.n_graded, b.n_effective) == (1, 1, 0.0)
