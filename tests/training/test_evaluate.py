import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from simulated_world import outcomes_in, simulate

from router_model import TableError
from router_model.goal import QualityValue, SuccessValue, TargetSuccess
from router_model.training.commands.evaluate import command
from router_model.training.measuring.evaluate import cost_bias, evaluate, seen_before


def test_realised_cost_and_quality_are_those_of_the_chosen_models(trained, monkeypatch):
    """The oracle: look every decision up by hand. Blocks of prompts, as in a large table, change nothing."""
    outcomes = outcomes_in(simulate(120, seed=8))
    at_once = evaluate(trained.router, outcomes)
    monkeypatch.setattr("router_model.training.distributed.prompts._IN_BLOCK", 50)
    result = evaluate(trained.router, outcomes)
    assert result.as_dict() == at_once.as_dict()
    decisions = trained.router.route_batch(outcomes.prompts)
    quality, cost = [], []
    for row, decision in enumerate(decisions):
        column = outcomes.models.index(decision.model)
        card = trained.router.catalog[decision.model]
        quality.append(outcomes.quality[row, column])
        cost.append(float(card.cost_usd(input_tokens=14, output_tokens=int(outcomes.output_tokens[row, column]))))
    assert result.router.quality == pytest.approx(np.mean(quality))
    assert result.router.cost_usd == pytest.approx(np.mean(cost))
    best = next(single for single in result.singles if single.label == result.best_single)
    assert result.router.saving == pytest.approx(1 - np.mean(cost) / best.cost_usd)
    assert result.savings[best.label] == pytest.approx(result.router.saving)
    assert all(
        result.savings[single.label] == pytest.approx(1 - np.mean(cost) / single.cost_usd) for single in result.singles
    )
    assert sum(result.shares.values()) == pytest.approx(1)
    assert sum(n for n, _, _ in result.by_task.values()) == 120


def test_prompts_seen_in_training_are_left_out_even_reworded_in_case(trained):
    frame = simulate(500)  # the training table, all of it
    outcomes = outcomes_in(frame.with_columns(pl.col("prompt").str.to_uppercase()))
    seen = seen_before(trained.router, outcomes.prompts)
    assert seen.sum() == trained.report.n_train
    result = evaluate(trained.router, outcomes)
    assert result.n_prompts == 500 - trained.report.n_train
    assert result.n_left_out == seen.sum()
    assert evaluate(trained.router, outcomes, include_seen=True).n_prompts == 500


def test_near_duplicates_of_training_prompts_are_left_out_or_told_apart(trained):
    """The training table with a word added to every prompt, and 60 new prompts."""
    logged, new = simulate(500), simulate(60, seed=8)
    variants = logged.with_columns(pl.col("prompt") + " thanks", pl.col("prompt_id") + "-again")
    outcomes = outcomes_in(pl.concat([variants, new]))
    assert not seen_before(trained.router, outcomes.prompts).any()
    result = evaluate(trained.router, outcomes)
    assert result.n_near_left_out >= 0.9 * trained.report.n_train
    assert result.n_prompts == 560 - result.n_near_left_out >= 60
    every = evaluate(trained.router, outcomes, include_seen=True)
    assert (every.n_prompts, every.n_near) == (560, result.n_near_left_out)
    assert every.unseen is not None
    assert every.unseen.metrics == result.metrics
    assert every.as_dict()["unseen"]["n_prompts"] == result.n_prompts


def test_other_rules_are_measured_on_request(trained):
    outcomes = outcomes_in(simulate(100, seed=8))
    cheap = evaluate(trained.router, outcomes, goal=SuccessValue(0.0))
    assert cheap.shares["small"] == 1.0
    safe = evaluate(trained.router, outcomes, goal=TargetSuccess(1.0))
    assert safe.rule == "cheapest with P(success) >= 1"
    assert safe.router.quality > cheap.router.quality


def test_tradeoffs_are_settings_that_can_be_asked_for(trained):
    outcomes = outcomes_in(simulate(100, seed=8))
    for tradeoff in evaluate(trained.router, outcomes).tradeoffs:
        again = evaluate(trained.router, outcomes, goal=QualityValue(tradeoff.quality_value_usd))
        assert again.router.saving == pytest.approx(tradeoff.saving)
        assert again.router.quality >= tradeoff.share * max(single.quality for single in again.singles) - 1e-9


@pytest.mark.slow
def test_prompts_with_missing_outcomes_count_by_estimates(trained):
    """15 % of the pairs are missing at random: with three models, four prompts in ten lack one.

    The estimates are nearer to the full table's figures than those of the complete prompts alone, in most draws.
    """
    frame = simulate(400, seed=8)
    full, nearer = evaluate(trained.router, outcomes_in(frame)), 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        partial = frame.filter(pl.Series(rng.random(len(frame)) >= 0.15))
        whole = partial.filter(pl.len().over("prompt_id") == 3)
        estimated, alone = (evaluate(trained.router, outcomes_in(part)) for part in (partial, whole))
        assert estimated.n_prompts == partial["prompt_id"].n_unique() > 1.4 * alone.n_prompts
        assert estimated.n_incomplete == estimated.n_prompts - alone.n_prompts
        errors = [
            abs(one.router.quality - full.router.quality) + abs(one.singles[0].quality - full.singles[0].quality)
            for one in (estimated, alone)
        ]
        nearer += errors[0] < errors[1]
    assert nearer >= 4


def test_a_log_of_one_answer_a_prompt_is_measured(trained):
    """Each prompt was answered by one model, drawn with known chances; 'large' is the best in the simulated world."""
    frame = simulate(3000, seed=9)
    rng = np.random.default_rng(0)
    drawn = pl.DataFrame({"prompt_id": frame["prompt_id"].unique(maintain_order=True)}).with_columns(
        model=pl.Series(rng.choice(["small", "coder", "large"], 3000, p=[0.5, 0.3, 0.2])), propensity=pl.lit(1.0)
    )
    chances = pl.col("model").replace_strict({"small": 0.5, "coder": 0.3, "large": 0.2}, return_dtype=pl.Float64)
    log = frame.join(drawn.with_columns(propensity=chances), on=["prompt_id", "model"])
    full, logged = evaluate(trained.router, outcomes_in(frame)), evaluate(trained.router, outcomes_in(log))
    assert logged.n_incomplete == logged.n_prompts == 3000
    assert (logged.best_single, logged.unknown) == ("large", ())
    assert logged.router.quality == pytest.approx(full.router.quality, abs=0.04)
    against, truth = logged.against["large"].quality, full.against["large"].quality
    assert against.low < truth.value < against.high
    assert against.half_width > truth.half_width


def test_what_nobody_knows_is_said(trained):
    frame = simulate(60, seed=8)
    without = frame.with_columns(quality=pl.when(pl.col("model") == "coder").then(None).otherwise("quality"))
    assert evaluate(trained.router, outcomes_in(without)).unknown == ("coder",)
    ungraded = frame.with_columns(quality=pl.when(pl.col("prompt_id") == "p8-0").then(None).otherwise("quality"))
    assert evaluate(trained.router, outcomes_in(ungraded)).n_ungraded == 1
    with pytest.raises(TableError, match="0 of 60 were trained on, or nearly, and 60 have no graded answer"):
        evaluate(trained.router, outcomes_in(frame.with_columns(quality=pl.lit(None, dtype=pl.Float64))))


def test_a_table_without_a_candidate_is_refused(trained):
    with pytest.raises(TableError, match="no outcomes of large, which the router may choose"):
        evaluate(trained.router, outcomes_in(simulate(60, seed=8).filter(pl.col("model") != "large")))


def test_costs_that_nobody_logged_are_called_assumed(trained):
    frame = simulate(50, seed=8)
    assert evaluate(trained.router, outcomes_in(frame)).cost_sources == {"billed": 0, "listed": 150, "assumed": 0}
    bare = outcomes_in(frame.select("prompt", "model", "quality"))
    assert evaluate(trained.router, bare).cost_sources == {"billed": 0, "listed": 0, "assumed": 150}
    billed = outcomes_in(frame.with_columns(cost_usd=pl.lit(0.01)))
    assert evaluate(trained.router, billed).cost_sources["billed"] == 150


def test_bias_of_costs_is_told_from_selection():
    """Predictions that are a tenth too low on average, with errors: the cheapest seems far cheaper than that."""
    rng = np.random.default_rng(0)
    real = np.ones((5000, 4))
    expected = 0.9 * rng.lognormal(-0.5 * 0.3**2, 0.3, real.shape)
    chosen = expected.argmin(axis=1)
    assert expected.min(axis=1).mean() < 0.7
    assert cost_bias(expected, real, chosen) == pytest.approx(-0.1, abs=0.01)


def test_free_models_have_no_bias():
    assert cost_bias(np.zeros((3, 2)), np.zeros((3, 2)), np.array([0, 1, 1])) == 0


def test_costs_that_are_all_zero_are_told_because_nothing_can_be_saved(trained, tmp_path):
    """Gateways log 0 for models whose price they do not know."""
    simulate(30, seed=8).with_columns(cost_usd=pl.lit(0.0)).write_parquet(tmp_path / "t.parquet")
    said = CliRunner().invoke(command, [str(trained.path), str(tmp_path / "t.parquet")], catch_exceptions=False).output
    assert "every cost is 0, so routing can save nothing" in " ".join(said.split())
