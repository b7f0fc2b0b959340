"""What a router says of its own ignorance: intervals, trust, abstention, the safe model."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from simulated_world import FEW_TREES, P_SUCCESS, simulate

from router_model import Constraints, NoCandidateError, PredictionTable, Reason, Router, TrainingError
from router_model.explanation_records import Changes
from router_model.training.train import TrainConfig, train

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"
STRANGE = "Quelle heure est-il à Tombouctou lorsque les éléphants dorment profondément ?"


@pytest.fixture(scope="module")
def new_prompts():
    new = simulate(300, seed=9).unique("prompt_id", maintain_order=True)
    return new["prompt"].to_list(), new["task"].to_list()


def test_intervals_hold_the_true_success_rates_of_kinds_of_prompts(trained, new_prompts):
    """The world's three kinds of prompts have known rates: of nine (kind, model) pairs at least seven are held."""
    prompts, tasks = new_prompts
    table = trained.router.predict(prompts)
    low, high = np.moveaxis(table.p_interval, -1, 0)
    assert np.all((low <= table.p_success) & (table.p_success <= high))
    inside = []
    for task, rates in P_SUCCESS.items():
        rows = np.array(tasks) == task
        truth = np.array([rates[model] for model in table.models])
        inside += list((low[rows].mean(axis=0) <= truth) & (truth <= high[rows].mean(axis=0)))
    assert sum(inside) >= 7
    assert np.mean(high - low) < 0.3


def test_token_quantiles_hold_their_share_of_answers(trained):
    """A tenth below the lowest, a tenth above the highest."""
    new = simulate(300, seed=9)
    prompts = new.unique("prompt_id", maintain_order=True)["prompt"].to_list()
    quantiles = trained.router.predict(prompts).output_token_quantiles
    observed = new.pivot(on="model", index="prompt_id", values="output_tokens").select(trained.router.models).to_numpy()
    below, above = (observed < quantiles[:, :, 0]).mean(), (observed > quantiles[:, :, 2]).mean()
    assert below == pytest.approx(0.1, abs=0.05)
    assert above == pytest.approx(0.1, abs=0.05)


def abstaining(router: Router, safe_model: str | None = None) -> Router:
    """Return the router with a floor above every trust."""
    predictor = router.artifact.predictor
    predictor = replace(predictor, calibration=replace(predictor.calibration, trust_floor=2.0))
    return replace(router, artifact=replace(router.artifact, predictor=predictor, safe_model=safe_model))


def test_familiar_prompts_are_trusted_and_strange_ones_less(trained):
    familiar, strange = trained.router.predict([SUM, STRANGE]).trust
    assert 0 < familiar <= 1
    assert strange < familiar


def test_a_prompt_far_longer_than_the_logged_ones_is_trusted_less_and_at_last_not_at_all(trained, table):
    """Repeated text is as familiar at any length. At ten times the longest logged prompt the trust is half."""
    longest = round(np.expm1(trained.router.artifact.predictor.calibration.longest_log_chars))
    lengths = pl.read_parquet(table)["prompt"].str.len_chars()
    assert lengths.quantile(0.9) <= longest <= lengths.max()  # of the training part
    usual, tenfold, huge = (f"{SUM} " * (n * longest // len(SUM)) for n in (1, 10, 1000))
    trust = trained.router.predict([usual, tenfold, huge]).trust
    assert trust[1] == pytest.approx(trust[0] / 2, rel=0.1)
    assert trust[2] == 0
    assert trained.router.route(huge).reason is Reason.OUT_OF_DISTRIBUTION


def test_an_abstaining_router_leans_on_overall_records(trained):
    decision = abstaining(trained.router).route(SUM)
    assert decision.reason is Reason.OUT_OF_DISTRIBUTION
    assert decision.trust == 0
    table = abstaining(trained.router).predict([SUM, STRANGE])
    assert table.abstained.all()
    odds = np.log(table.p_success / (1 - table.p_success))
    assert np.diff(odds, axis=0) == pytest.approx(np.tile(np.diff(odds[:, :1], axis=0), 3), abs=1e-3)


def test_a_safe_model_comes_first_unless_constraints_rule_it_out(trained):
    router = abstaining(trained.router, safe_model="coder")
    decision = router.route(SUM)
    assert (decision.model, decision.reason) == ("coder", Reason.OUT_OF_DISTRIBUTION)
    assert sorted(step.model for step in decision.plan) == ["coder", "large", "small"]
    assert router.route(SUM, constraints=Constraints(deny=("coder",))).model != "coder"
    assert trained.router.route(SUM).reason is not Reason.OUT_OF_DISTRIBUTION
    assert router.route(SUM, explain=True).explanation.changes == Changes()  # nothing would displace it


def test_a_safe_model_is_saved_and_must_be_in_the_table(table, catalog, tmp_path):
    with pytest.raises(TrainingError, match="safe model 'huge' is not in the table; it has coder, large, small"):
        train(table, tmp_path / "router", catalog=catalog, config=TrainConfig(safe_model="huge"))
    assert not (tmp_path / "router").exists()


def test_latency_is_predicted_and_limits_candidates(catalog, tmp_path):
    """'large' takes about 4 s, the others 1 s."""
    rng = np.random.default_rng(0)
    frame = simulate(200, seed=4)
    seconds = rng.lognormal(0, 0.2, len(frame)) * np.where(frame["model"] == "large", 4.0, 1.0)
    frame.with_columns(latency_s=pl.Series(seconds)).write_parquet(tmp_path / "t.parquet")
    config = TrainConfig(safe_model="small", fit=FEW_TREES)
    train(tmp_path / "t.parquet", tmp_path / "router", catalog=catalog, config=config)
    router = Router.load(tmp_path / "router")
    assert router.artifact.safe_model == "small"
    decision = router.route(SUM, constraints=Constraints(max_latency_s=2.0))
    latency = {step.model: step.expected_latency_s for step in router.route(SUM).plan}
    assert latency == pytest.approx({"large": 4.1, "small": 1.0, "coder": 1.0}, rel=0.25)
    assert [(exclusion.model, exclusion.reason) for exclusion in decision.excluded] == [("large", "max_latency_s")]
    with pytest.raises(NoCandidateError, match="max_latency_s"):
        router.route(SUM, constraints=Constraints(max_latency_s=0.1))


def test_tables_are_joined_with_what_they_have(trained):
    parts = [trained.router.predict([SUM]), trained.router.predict([STRANGE, SUM])]
    joined = PredictionTable.concatenate(parts)
    assert joined.p_interval.shape == (3, 3, 2)
    assert joined.expected_latency_s is None
    assert np.array_equal(joined.p_success[0], parts[0].p_success[0])
