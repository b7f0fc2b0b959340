import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from simulated_world import outcomes_in, simulate
from written_page import text_of

from router_model import Router, TableError
from router_model.goal import QualityValue
from router_model.pages.blocks import Paragraph
from router_model.policy import OperatingPoint
from router_model.training.measuring.compare import compare
from router_model.training.measuring.evaluate import evaluate, seen_before
from router_model.training.measuring.verdict import Finding
from router_model.training.reporting.compare_page import compare_page


@pytest.fixture(scope="module")
def fresh():
    """Prompts that no router of these tests was trained on."""
    return outcomes_in(simulate(600, seed=8))


def with_value(router, success_value_usd):
    point = OperatingPoint(router.artifact.operating_point.quality_bar, success_value_usd)
    return Router.assemble(replace(router.artifact, operating_point=point), router.encoder, catalog=router.catalog)


def test_each_router_brings_what_evaluate_says(trained, fresh):
    cheap = with_value(trained.router, 0.0)
    found = compare(trained.router, cheap, fresh)
    for router, compared in ((trained.router, found.first), (cheap, found.second)):
        alone = evaluate(router, fresh)
        assert (compared.quality, compared.cost_usd) == (
            pytest.approx(alone.router.quality),
            pytest.approx(alone.router.cost_usd),
        )
        assert compared.success == pytest.approx(alone.router.success)
        assert compared.aiq == pytest.approx(alone.metrics["aiq"])
        assert compared.shares == alone.shares
    assert found.difference.quality.value == pytest.approx(found.second.quality - found.first.quality)
    assert found.cost_usd.value == pytest.approx(found.second.cost_usd - found.first.cost_usd)
    assert found.difference.saving.value == pytest.approx(1 - found.second.cost_usd / found.first.cost_usd)


def test_always_the_cheapest_model_is_cheaper_and_worse_and_exchanged_better_and_dearer(trained, fresh):
    cheap = with_value(trained.router, 0.0)
    there, back = compare(trained.router, cheap, fresh), compare(cheap, trained.router, fresh)
    assert there.verdict.finding is Finding.CHEAPER_WORSE
    assert back.verdict.finding is Finding.BETTER_DEARER
    assert there.difference.quality.value == pytest.approx(-back.difference.quality.value)
    assert there.difference.quality.low == pytest.approx(-back.difference.quality.high, abs=1e-6)


def test_a_router_ties_with_itself(trained, fresh):
    found = compare(trained.router, trained.router, fresh)
    assert found.verdict.sentence == "a tie: both choose the same models"
    assert (found.aiq.low, found.aiq.high, found.share_different) == (0.0, 0.0, 0.0)


def test_few_prompts_tell_nothing_but_how_many_more(trained, fresh):
    unclear = compare(trained.router, with_value(trained.router, 0.0), fresh.take(np.arange(20)))
    assert unclear.verdict.finding is Finding.UNCLEAR
    assert unclear.verdict.n_more >= 10


def test_a_goal_holds_for_both(trained, fresh):
    found = compare(with_value(trained.router, 0.0), trained.router, fresh, goal=QualityValue(0.001))
    assert found.first.rule == found.second.rule
    assert found.verdict.finding is Finding.TIE


def test_prompts_that_either_was_trained_on_are_left_out_or_counted(trained, graded):
    outcomes = outcomes_in(simulate(500))  # the table of `trained`
    found = compare(graded.router, trained.router, outcomes)
    assert found.n_left_out >= trained.report.n_train
    assert found.n_prompts == 500 - found.n_left_out
    both = compare(graded.router, trained.router, outcomes, include_seen=True)
    assert (both.n_prompts, both.n_left_out, both.n_seen) == (500, 0, found.n_left_out)
    text = f"{both.n_seen:,} of the prompts have a text that A or B was trained on, which favours it."
    said = Paragraph(text, warns=True)
    assert said in compare_page(both, first="a", second="b").sections[0].blocks
    assert said not in compare_page(found, first="a", second="b").sections[0].blocks


def test_near_duplicates_of_training_prompts_are_left_out_or_counted(trained):
    twins = outcomes_in(simulate(500).with_columns(prompt=pl.col("prompt") + " thanks"))
    found = compare(trained.router, with_value(trained.router, 0.0), twins)
    assert found.n_left_out > 0.9 * trained.report.n_train
    assert found.n_prompts == 500 - found.n_left_out
    both = compare(trained.router, trained.router, twins, include_seen=True)
    assert (both.n_prompts, both.n_seen, both.n_left_out) == (500, found.n_left_out, 0)


def test_copies_of_a_prompt_count_once(trained):
    frame = simulate(200, seed=9)
    copies = pl.concat([frame.with_columns(prompt_id=pl.col("prompt_id") + f"/{i}") for i in range(3)])
    cheap = with_value(trained.router, 0.0)
    once, thrice = (compare(trained.router, cheap, outcomes_in(each)) for each in (frame, copies))
    assert (thrice.n_prompts, thrice.n_independent) == (600, once.n_independent)
    assert thrice.difference.quality.half_width == pytest.approx(once.difference.quality.half_width, rel=0.15)


def test_routers_of_different_models_are_compared_where_the_table_has_all(trained, tmp_path, fresh):
    run_command("remove-model", trained.path, "--model", "coder", "--out", tmp_path / "two")
    found = compare(Router.load(tmp_path / "two"), trained.router, fresh)
    assert found.first.shares["coder"] == 0.0
    assert set(found.first.shares) == {"coder", "large", "small"}


def test_a_missing_outcome_of_any_model_leaves_the_prompt_out(trained):
    frame = simulate(100, seed=8).filter((pl.col("prompt_id") != "p8-3") | (pl.col("model") != "small"))
    found = compare(trained.router, trained.router, outcomes_in(frame))
    assert (found.n_prompts, found.n_incomplete) == (99, 1)


def test_costs_that_nobody_billed_are_the_same_for_both(trained):
    frame = simulate(100, seed=8).drop("output_tokens", strict=False).drop("input_tokens", strict=False)
    found = compare(trained.router, with_value(trained.router, 0.0), outcomes_in(frame))
    assert found.cost_sources["assumed"] == 300


def test_nothing_is_compared_without_prompts_or_models(trained):
    outcomes = outcomes_in(simulate(500))
    seen = outcomes.take(np.flatnonzero(seen_before(trained.router, outcomes.prompts)))
    with pytest.raises(TableError, match="no prompt left to compare: one of the routers was trained on"):
        compare(trained.router, trained.router, seen)
    with pytest.raises(TableError, match="the table has no outcomes of large"):
        compare(trained.router, trained.router, seen.select_models(["coder", "small"]))


@pytest.fixture
def saved(tmp_path):
    simulate(120, seed=8).write_parquet(tmp_path / "fresh.parquet")
    return tmp_path / "fresh.parquet"


def test_the_command_prints_both_and_the_verdict(trained, graded, saved):
    done = run_command("compare", trained.path, graded.path, saved)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Compared on 120 prompts" in done.stdout
    assert "AIQ" in done.stdout
    assert "Verdict: " in done.stdout


def test_the_command_prints_json_and_writes_a_page(trained, graded, saved):
    page = saved.with_name("page.html")
    found = json.loads(run_command("compare", trained.path, graded.path, saved, "--json", "--html", page).stdout)
    assert found["verdict"]["sentence"][1:] in text_of(page)
    assert found["n_prompts"] == 120
    assert set(found["second_minus_first"]) == {"quality", "saving", "success", "cost_usd", "aiq"}
    assert set(found["second_minus_first"]["aiq"]) == {"value", "low", "high"}
    assert found["verdict"]["finding"] in list(Finding)


def test_what_cannot_be_compared_is_one_line(trained, saved, tmp_path):
    pl.read_parquet(saved).drop("quality").write_parquet(tmp_path / "ungraded.parquet")
    (tmp_path / "folder").mkdir()
    pl.read_parquet(saved).filter(pl.col("model") != "large").write_parquet(tmp_path / "two.parquet")
    for arguments, said in (
        ((trained.path, tmp_path / "folder", saved), "not a trained router"),
        ((tmp_path / "nothing", trained.path, saved), "nothing"),
        ((trained.path, trained.path, tmp_path / "ungraded.parquet"), "quality"),
        ((trained.path, trained.path, tmp_path / "two.parquet"), "no outcomes of large"),
        ((trained.path, trained.path, saved, "--max-quality-loss", "2"), "max-quality-loss"),
    ):
        done = run_command("compare", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
