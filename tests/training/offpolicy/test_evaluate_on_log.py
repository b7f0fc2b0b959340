"""A router on the log of another policy: against all outcomes of the simulated world."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from explored_log import explored_log
from simulated_world import simulate

from router_model import TableError
from router_model.errors import SupportError
from router_model.training.measuring.evaluate import seen_before
from router_model.training.measuring.verdict import Finding
from router_model.training.offpolicy.evaluate_on_log import AS_LOGGED, SEEN, UNEXPLORED, UNSUPPORTED, evaluate_on_log
from router_model.training.offpolicy.logged import WITHOUT_PROPENSITY, read_logged

N = 1500


def with_value(router, value):
    point = replace(router.artifact.operating_point, quality_value_usd=value, always_model=None)
    return replace(router, artifact=replace(router.artifact, operating_point=point))


@pytest.fixture(scope="module")
def careful(trained):
    """A challenger that values quality highly: it prefers the large model."""
    return with_value(trained.router, 1.0)


@pytest.fixture(scope="module")
def world(trained, tmp_path_factory):
    """A log with a share of 0.3 of uniform exploration, and all outcomes."""
    table, whole = explored_log(trained.router, N)
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    table.write_parquet(path)
    return path, table, whole


def mean_of(router, table, whole, column):
    """Return what the router's choices bring, from all outcomes."""
    prompts = table["prompt"].to_list()
    chosen = pl.DataFrame({"prompt_id": table["prompt_id"], "model": [d.model for d in router.route_batch(prompts)]})
    return chosen.join(whole, on=["prompt_id", "model"], how="left")[column].mean()


def test_differences_are_those_of_all_outcomes(trained, careful, world):
    path, table, whole = world
    found = evaluate_on_log(careful, read_logged(path))
    assert (found.champion_name, found.n_logged, found.n_decisions, found.left_out) == (UNEXPLORED, N, N, {})
    # Both are unbiased; DR averages over what exploration could have drawn.
    assert found.as_logged.quality.value == pytest.approx(table["quality"].mean(), abs=0.02)
    truth = mean_of(careful, table, whole, "quality") - mean_of(trained.router, table, whole, "quality")
    difference = found.difference.quality
    assert difference.low < truth < difference.high
    assert found.anytime.low < difference.low < difference.high < found.anytime.high
    assert found.quality["IPS"].half_width > difference.half_width
    assert found.difference.saving.high < 0
    assert sum(n for n, _, _ in found.by_task.values()) == N


def test_decisions_in_blocks_are_judged_as_all_at_once(careful, world, monkeypatch):
    """A long log keeps the features of some decisions at a time."""
    whole = evaluate_on_log(careful, world[0]).as_dict()
    monkeypatch.setattr("router_model.training.distributed.prompts._IN_BLOCK", 400)
    assert evaluate_on_log(careful, world[0]).as_dict() == whole


def test_the_policy_of_the_log_is_the_router_that_wrote_it(trained, careful, world):
    """Named as the champion, or known by the log: the same, but for its own predictions, which only fill in."""
    by_log, by_name = (evaluate_on_log(careful, read_logged(world[0]), against=x) for x in (None, trained.router))
    assert by_name.quality["IPS"] == by_log.quality["IPS"]
    assert by_name.difference.quality.value == pytest.approx(by_log.difference.quality.value)


def test_the_router_that_wrote_the_log_ties_with_itself(trained, world):
    """Against the policy as it ran, with its exploration, it would be better than itself."""
    found = evaluate_on_log(trained.router, read_logged(world[0]))
    assert found.verdict.finding is Finding.TIE
    assert found.difference.quality.value == found.difference.quality.high == 0.0
    print(f"as it ran {found.as_logged.quality.value:.3f}, without exploration {found.champion.quality.value:.3f}")
    assert found.as_logged.quality.value < found.champion.quality.value


def test_rows_that_no_probability_describes_change_no_estimate(careful, world, tmp_path):
    """Fallbacks without a propensity, and sessions that kept their model: 100 of each, all with quality 0."""
    path, table, _ = world
    bad = pl.col("extra").str.replace('"reason": "[^"]*"', '"reason": "session"')
    more = table.head(100).with_columns(pl.col("prompt_id") + "-b", quality=0.0)
    fallback, kept = (
        more.with_columns(propensity=pl.lit(None, pl.Float64)),
        more.with_columns(pl.col("prompt_id") + "-k", extra=bad),
    )
    pl.concat([table, fallback, kept]).write_parquet(tmp_path / "log.parquet")
    found = evaluate_on_log(careful, read_logged(tmp_path / "log.parquet"))
    clean = evaluate_on_log(careful, read_logged(path))
    assert found.difference == clean.difference
    assert found.n_logged == N + 200
    assert found.left_out[WITHOUT_PROPENSITY] == 100


def test_choices_that_the_log_could_not_make_are_refused_or_left_out(trained, careful, tmp_path):
    table, _ = explored_log(trained.router, 800, among=("small", "coder"))
    table.write_parquet(tmp_path / "log.parquet")
    log = read_logged(tmp_path / "log.parquet")
    with pytest.raises(
        SupportError, match=r"the challenger chooses large\): their propensity is 0, .*--supported-only"
    ):
        evaluate_on_log(careful, log)
    found = evaluate_on_log(careful, log, supported_only=True)
    assert found.left_out[UNSUPPORTED] == 800 - found.n_decisions > 50


def test_old_exports_show_missing_support_by_the_mean_weight(trained, careful, tmp_path):
    """Without the propensities of all models: weights of a challenger that the log could never follow are 0."""
    table, _ = explored_log(trained.router, 800, among=("small", "coder"))
    table.drop("extra").write_parquet(tmp_path / "log.parquet")
    with pytest.raises(SupportError, match="the challenger's weights have the mean 0"):
        evaluate_on_log(careful, read_logged(tmp_path / "log.parquet"))
    whole, _ = explored_log(trained.router, 800)
    whole.drop("extra").write_parquet(tmp_path / "whole.parquet")
    found = evaluate_on_log(careful, read_logged(tmp_path / "whole.parquet"))
    assert (found.anytime, found.champion_name) == (None, AS_LOGGED)
    assert found.difference.quality.low < 0.1


def test_prompts_of_the_training_are_left_out(careful, world, tmp_path):
    _, table, _ = world
    seen = simulate(500).head(300)  # of the table that it was trained on
    more = table.head(100).with_columns(seen.unique("prompt_id", maintain_order=True)["prompt"])
    pl.concat([table, more.with_columns(pl.col("prompt_id") + "-seen")]).write_parquet(tmp_path / "log.parquet")
    found = evaluate_on_log(careful, read_logged(tmp_path / "log.parquet"))
    assert 50 < found.left_out[SEEN] <= 100
    more.filter(seen_before(careful, more["prompt"].to_list())).head(1).write_parquet(tmp_path / "seen.parquet")
    with pytest.raises(TableError, match="a router was trained on the prompts of all 1 decisions, or nearly"):
        evaluate_on_log(careful, read_logged(tmp_path / "seen.parquet"))


def test_a_small_log_cannot_tell_and_says_how_much_would(careful, world):
    log = read_logged(world[0])
    found = evaluate_on_log(careful, log.take(np.arange(200), left_out={}))
    assert found.verdict.finding is Finding.UNCLEAR
    assert found.overlap.n_challenger < 150
    assert found.verdict.sentence.startswith("this log cannot tell: about ")
    assert found.verdict.n_more > 200


def test_without_grades_there_is_nothing_to_estimate(careful, world, tmp_path):
    _, table, _ = world
    table.with_columns(quality=pl.lit(None, pl.Float64)).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(TableError, match="no quality is known of any of 1,500 answers"):
        evaluate_on_log(careful, read_logged(tmp_path / "log.parquet"))


def test_a_model_that_the_log_does_not_know_has_no_support(careful, world, tmp_path):
    known = pl.lit('{"propensities": {"small": 0.5, "coder": 0.5}}')
    table = world[1].filter(pl.col("model") != "large").with_columns(extra=known, propensity=0.5)
    table.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(SupportError, match="chooses large"):
        evaluate_on_log(careful, read_logged(tmp_path / "log.parquet"))
