from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from simulated_world import FEW_TREES, WORDS, simulate
from threadpoolctl import threadpool_info, threadpool_limits

from router_model import Catalog, Router, TrainingError
from router_model.training import learnable
from router_model.training import train as training
from router_model.training.fitting.boosters import BoosterConfig
from router_model.training.fitting.evidence import EvidenceConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.train import TrainConfig, train

QUICK = TrainConfig(fit=FEW_TREES)
SKETCHY = TrainConfig(fit=FitConfig(boosters=BoosterConfig(max_rounds=5), amount_boosters=BoosterConfig(max_rounds=5)))
"""Where predictions do not matter."""


@pytest.fixture
def fit(tmp_path, catalog):
    """Train on a frame and return the report and the loaded router."""

    def run(frame, config=QUICK, catalog=catalog):
        frame.write_parquet(tmp_path / "t.parquet")
        report = train(tmp_path / "t.parquet", tmp_path / "router", catalog=catalog, config=config)
        return report, Router.load(tmp_path / "router")

    return run


def test_report_says_what_was_learned_and_measured(trained):
    report = trained.report
    assert report.n_train + report.n_calibration + report.n_test == 500
    assert sum(report.trust.values()) == pytest.approx(1, abs=1e-5)
    assert report.held_out.n_prompts == report.n_test
    assert report.held_out.best_single == "large"
    assert report.held_out.router.saving > 0.1
    assert report.held_out.router.quality > report.held_out.singles[0].quality - 0.06
    assert report.as_dict()["held_out"]["metrics"]["auc"] > 0.6


def test_blas_takes_one_thread_while_a_router_is_fitted(table, catalog, tmp_path, monkeypatch):
    """Whatever the program allows otherwise; afterwards it is as before."""

    def threads():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    def look(*_, **__):
        raise RuntimeError(f"seen: {set(threads())}")

    monkeypatch.setattr(training, "fit_predictor", look)
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with pytest.raises(RuntimeError, match="seen: {1}"):
            train(table, tmp_path / "router", catalog=catalog, config=QUICK)
        assert threads() == before
    assert set(before) == {2}


def test_same_table_seed_and_version_give_the_same_bytes(catalog, tmp_path):
    simulate(150).write_parquet(tmp_path / "t.parquet")
    seeds = {"a": 0, "b": 0, "c": 1}
    hashes = [
        train(tmp_path / "t.parquet", tmp_path / name, catalog=catalog, config=replace(SKETCHY, seed=seed)).content_hash
        for name, seed in seeds.items()
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_partial_logs_train_the_same_predictor(fit, monkeypatch):
    """One model a prompt, chosen at random and logged with its propensity: probabilities stay near the truth.

    The log is beyond every bound: some prompts are held out of the evidence, in the bank, clustered and measured.
    Nothing is certified, and the report says so.
    """
    monkeypatch.setattr(learnable, "MEASURED_PROMPTS", 100)
    monkeypatch.setattr(training, "PREDICTED_PROMPTS", (200, 300))
    monkeypatch.setattr("router_model.training.fitting.evidence._VOCABULARY_PROMPTS", 400)
    monkeypatch.setattr("router_model.training.fitting.uncertainty._MOST_CLUSTERED", 100)
    monkeypatch.setattr("router_model.features.featuriser._AT_ONCE", 64)
    bounded = replace(QUICK, fit=replace(QUICK.fit, evidence=EvidenceConfig(max_bank=300)))
    full = simulate(1500, seed=3)
    logged = full.sample(fraction=1.0, shuffle=True, seed=0).unique("prompt_id", keep="first", maintain_order=True)
    report, router = fit(logged.with_columns(propensity=pl.lit(1 / 3)), bounded)
    assert report.n_train > 800
    assert report.n_test < 150
    assert any("held-out prompts are not measured" in warning for warning in report.warnings)
    assert report.held_out.n_incomplete == report.held_out.n_prompts == report.n_test
    assert report.held_out.best_single == "large"
    new = simulate(200, seed=9).filter(pl.col("task") == "poetry").unique("prompt_id", maintain_order=True)
    p = router.predict(new["prompt"].to_list()).p_success.mean(axis=0)
    assert p == pytest.approx([0.15, 0.9, 0.3], abs=0.12)  # coder, large, small
    assert router.certificates == ()
    assert any(warning.startswith("nothing is certified: too few answers to certify on") for warning in report.warnings)


def test_coin_tosses_teach_nothing(fit):
    """One graded model a prompt, 40 models, quality a fair coin: whatever is in-sample would show as skill."""
    rng = np.random.default_rng(0)
    words = WORDS["poetry"]
    frame = pl.DataFrame(
        {
            "prompt": [f"{' '.join(rng.choice(words, 8))} {i}" for i in range(500)],
            "model": [f"m{i % 40}" for i in range(500)],
            "quality": rng.integers(0, 2, 500).astype(float),
        }
    )
    cards = "".join(f"[models.m{i}]\nusd_per_mtok_input=1\nusd_per_mtok_output=1\n" for i in range(40))
    _, router = fit(frame, catalog=Catalog.parse(cards, origin="c"))
    p = router.predict([f"{' '.join(rng.choice(words, 8))} new {i}" for i in range(50)]).p_success
    assert np.mean(np.log(p) + np.log1p(-p)) / -2 < 0.72  # log 2 is 0.693


def test_three_quality_levels_are_not_interpolated_between(fit):
    """Qualities 0, 0.5 and 1 with chances 0.1, 0.6, 0.3: above 0.5 every bar is met as often as 1 is."""
    rng = np.random.default_rng(0)
    frame = simulate(400).with_columns(quality=pl.Series(rng.choice([0.0, 0.5, 1.0], 1200, p=[0.1, 0.6, 0.3])))
    _, router = fit(frame)
    for bar, truth in ((0.5, 0.9), (0.6, 0.3), (0.7, 0.3), (0.9, 0.3)):
        assert router.predict(["moon verse", "add 3"], quality_bar=bar).p_success.mean() == pytest.approx(
            truth, abs=0.06
        )


def test_unknown_tokens_are_not_taken_for_average_ones(fit):
    """Poems take four times the tokens; four in five counts are missing at random."""
    frame = simulate(600)
    kept = np.random.default_rng(0).random(len(frame)) < 0.2
    sparse = frame.with_columns(output_tokens=pl.when(pl.Series(kept)).then(pl.col("output_tokens")).otherwise(None))
    _, router = fit(sparse)
    new = simulate(100, seed=9).unique("prompt_id", maintain_order=True)
    tokens = router.predict(new["prompt"].to_list()).expected_output_tokens.mean(axis=1)
    poems = (new["task"] == "poetry").to_numpy()
    assert tokens[poems].mean() == pytest.approx(298, rel=0.15)
    assert tokens[~poems].mean() == pytest.approx(74.5, rel=0.2)


def test_prompts_without_a_common_word_train(fit):
    """Every prompt is one Chinese character of its own, so the bag is empty."""
    frame = simulate(150).with_columns(prompt=pl.col("prompt_id").str.extract(r"-(\d+)$").cast(pl.Int64))
    characters = frame["prompt"].map_elements(lambda i: chr(0x4E00 + 37 * i), return_dtype=pl.String)
    report, router = fit(frame.with_columns(prompt=characters), SKETCHY)
    assert router.artifact.predictor.evidence_model.vocabulary.codes.size < 5
    assert np.isfinite(report.held_out.metrics["log_loss"])
    assert np.isfinite(router.predict(["", "add 3"]).p_success).all()


def test_free_models_and_sparse_grades_train(fit):
    free = "".join(f"[models.{m}]\nusd_per_mtok_input=0\nusd_per_mtok_output=0\n" for m in ("small", "coder", "large"))
    frame = simulate(150)
    report, _ = fit(frame, SKETCHY, catalog=Catalog.parse(free, origin="c"))
    assert report.held_out.metrics["cost_save"] is None
    graded = pl.col("prompt_id").str.ends_with("7")
    with pytest.raises(TrainingError, match="graded training prompts; at least 50 are needed"):
        fit(frame.with_columns(quality=pl.when(graded).then(pl.col("quality")).otherwise(None)))


def test_a_model_that_never_fails_stays_below_certainty(fit):
    frame = simulate(200).with_columns(
        quality=pl.when(pl.col("model") == "large").then(1.0).otherwise(pl.col("quality"))
    )
    report, router = fit(frame)
    p = router.predict(["add 3", "moon rhyme"]).p_success[:, router.models.index("large")]
    assert np.all((p > 0.9) & (p < 1))
    assert any(warning.startswith("large: succeeds on every graded") for warning in report.warnings)


def test_only_prompt_model_and_quality_are_needed(fit):
    """Without a holdout, everything but the calibration prompts is trained on."""
    report, router = fit(simulate(150).select("prompt", "model", "quality"), replace(SKETCHY, holdout=False))
    assert (report.n_test, report.held_out) == (0, None)
    assert report.n_train > 120
    table = router.predict(["add 3"])
    assert table.expected_output_tokens == pytest.approx(np.full((1, 3), 300.0), rel=1e-3)
    assert np.all(table.expected_cost_usd > 0)


def test_graded_qualities_keep_their_bars(graded):
    grid = graded.router.artifact.predictor.grid
    assert {0.5, 0.7, 0.9} <= {round(float(bar), 6) for bar in grid.bars}
    assert not grid.stepwise
    assert 0.99 < grid.high <= 1


def test_graded_qualities_with_latency_train(fit):
    """As the decision log has them: several bars and two amounts."""
    frame = simulate(150, graded=True).with_columns(latency_s=pl.col("output_tokens") / 50)
    _, router = fit(frame)
    assert not router.artifact.predictor.grid.stepwise
    decision = router.route("stanza meter rhyme")
    assert all(1 < step.expected_latency_s < 8 for step in decision.plan)


def test_ungraded_models_are_left_out_and_named_and_two_are_enough(fit):
    frame = simulate(150).with_columns(
        quality=pl.when(pl.col("model") == "coder").then(None).otherwise(pl.col("quality"))
    )
    report, router = fit(frame, SKETCHY)
    assert router.models == ("large", "small")
    assert np.isfinite(report.held_out.metrics["log_loss"])
    assert "coder: left out because none of its answers is graded" in report.warnings


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (simulate(30), "training prompts; at least 50 are needed"),
        (simulate(150).filter(pl.col("model") == "large"), "graded answers of at least 2 models; .* of large"),
        (simulate(150).with_columns(quality=pl.lit(1.0)), "nothing to learn"),
        (
            simulate(150).with_columns(quality=pl.lit(None, dtype=pl.Float64)),
            "models; .* of none; .*router-model label",
        ),
    ],
)
def test_tables_that_teach_nothing_are_refused(fit, frame, match):
    with pytest.raises(TrainingError, match=match):
        fit(frame)


@pytest.mark.parametrize("bars", [(), (0.0,), (0.5, 1.2)])
def test_impossible_bars_are_refused(fit, bars):
    with pytest.raises(TrainingError, match="expected one or more numbers above 0 and up to 1"):
        fit(simulate(150), TrainConfig(quality_bars=bars))


def test_a_failed_training_leaves_the_old_router(trained, tmp_path, catalog):
    simulate(30).write_parquet(tmp_path / "small.parquet")
    before = trained.path.joinpath("manifest.json").read_bytes()
    with pytest.raises(TrainingError):
        train(tmp_path / "small.parquet", trained.path, catalog=catalog)
    assert trained.path.joinpath("manifest.json").read_bytes() == before


def test_training_certifies_on_the_calibration_prompts(trained):
    """Two default targets, 95 and 90 % of the best single model's rate in training, rounded down to percents."""
    report = trained.report
    best = report.records[0]
    assert [c.target_success for c in report.certificates] == [
        np.floor(share * best.quality * 100) / 100 for share in (0.9, 0.95)
    ]
    assert trained.router.certificates == report.certificates
    assert all((c.n_prompts, c.n_targets, c.delta) == (report.n_calibration, 2, 0.1) for c in report.certificates)
    assert report.as_dict()["certificates"][0]["safest_model"] == "large"


def test_targets_and_delta_can_be_set(fit):
    report, router = fit(simulate(400), replace(QUICK, target_success=(0.6, 0.995), delta=0.2))
    assert [(c.target_success, c.certified) for c in router.certificates] == [(0.6, True), (0.995, False)]
    assert "are too few: " in router.certificates[1].reason
    assert report.certificates[0].delta == 0.2
    with pytest.raises(TrainingError, match="expected one or more rates above 0 and below 1"):
        fit(simulate(150), replace(QUICK, target_success=(90.0,)))


def test_a_negative_seed_is_refused(fit):
    with pytest.raises(TrainingError, match="seed -1; expected 0 or more"):
        fit(simulate(150), TrainConfig(seed=-1))
