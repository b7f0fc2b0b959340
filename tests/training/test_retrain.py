"""``router-model retrain``: the tables of the former router and the log of its service teach one new router."""

import json
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from simulated_world import BOLD, P_SUCCESS, simulate

from router_model.commands.simulate import read_world
from router_model.errors import TableError
from router_model.features.featuriser import featurise
from router_model.router import Router
from router_model.serving.commands.log import with_log
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.store import Period
from router_model.serving.simulation.simulate import simulate as serve
from router_model.serving.simulation.traffic import ADVERSARY, Traffic
from router_model.training.measuring.moves import chosen_models
from router_model.training.retrain import logged_rows, retrain
from router_model.training.train import train


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


def test_a_table_that_is_no_log_is_refused_before_anything_is_trained(trained, table, tmp_path):
    with pytest.raises(TableError, match="got a table without 'propensity', expected one of 'router-model log export'"):
        retrain(table, trained.path, tmp_path / "router", tables=[table])
    assert not (tmp_path / "router").exists()


def test_a_log_without_grades_or_models_is_refused_in_words(trained, table, tmp_path):
    pl.read_parquet(table).drop("quality").with_columns(propensity=pl.lit(1.0)).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(TableError, match="got a table without 'quality', expected one of"):
        retrain(tmp_path / "log.parquet", trained.path, tmp_path / "router", tables=[table])


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


@pytest.mark.slow
def test_a_campaign_of_one_key_moves_the_value_by_less_than_its_interval(tmp_path, catalog):
    """One key gives 5 % of the feedback, all of it false. Its grades are left out, and reported.

    The value is the mean P(success) of the models that the retrained router chooses for 2,000 other prompts; its
    interval is that of so many outcomes.
    """
    base, held_out = tmp_path / "base", simulate(2000, seed=200).unique("prompt_id", maintain_order=True)
    simulate(110).write_parquet(tmp_path / "base.parquet")
    simulate(1500, seed=100).write_parquet(tmp_path / "world.parquet")
    train(tmp_path / "base.parquet", base, catalog=catalog, config=BOLD)
    features = featurise(held_out["prompt"].to_list(), Router.load(base).encoder)

    def logged(adversary):
        url, spool, out = (tmp_path / f"{adversary}-{name}" for name in ("log.db", "spool", "log.parquet"))
        settings = Settings(
            artifact=base, log=f"sqlite:///{url}", log_spool=spool, explore_share=0.1, explore_max_cost_ratio=1e6
        )
        world = read_world(tmp_path / "world.parquet", Router.load(base)).world
        serve(settings, world, Traffic(n_requests=4000, adversary=adversary))
        with_log(settings.log, spool, lambda store: export_log(store, out, Period()))
        return pl.read_parquet(out)

    def retrained(log):
        log.write_parquet(tmp_path / "log.parquet")
        report = retrain(
            tmp_path / "log.parquet", base, tmp_path / "new", tables=[tmp_path / "base.parquet"], accept_moves=True
        )
        chosen = chosen_models(Router.load(tmp_path / "new"), features)
        value = np.mean([P_SUCCESS[task][model] for task, model in zip(held_out["task"], chosen, strict=True)])
        return value, report.training.findings

    honest, attacked = logged(0.0), logged(0.05)
    is_false = pl.col("judge") == ADVERSARY
    n_false, n_graded = attacked.filter(is_false)["quality"].count(), attacked["quality"].count()
    assert 0.04 < n_false / n_graded < 0.06
    clean, _ = retrained(honest)
    interval = 1.96 * np.sqrt(clean * (1 - clean) / len(held_out))
    value, findings = retrained(attacked)
    assert abs(value - clean) < interval
    assert sum(one.n_left_out for one in findings if one.judge == ADVERSARY) > n_false / 2
