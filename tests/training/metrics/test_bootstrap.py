import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.metrics import (
    Points,
    Singles,
    aiq,
    aiq_log,
    bootstrap_metrics,
    bootstrap_realised,
    brier,
    cost_save,
    interval,
    log_loss,
    mean_auc,
    perf_gain,
    resample_weights,
)
from router_model.training.metrics.bootstrap import bootstrap_frontier


def world(rng, n_prompts, *, n_models=3, n_configurations=8, noise=0.5):
    """Prompts of random difficulty, models that are better the dearer they are, and a router that half knows."""
    price = np.geomspace(1e-4, 1e-2, n_models)
    logit = np.linspace(-0.5, 1.2, n_models) + rng.normal(0, 1.2, (n_prompts, 1))
    p = 1 / (1 + np.exp(-logit))
    success = (rng.random(p.shape) < p).astype(float)
    cost = price * rng.lognormal(0, 0.5, p.shape)
    guess = 1 / (1 + np.exp(-logit - rng.normal(0, noise, p.shape)))
    values = np.geomspace(1e-4, 10, n_configurations)
    choices = np.array([np.argmax(guess * value - price, axis=1) for value in values])
    return choices, success, cost, guess


def plain(choices, quality, cost, p):
    """Every metric of one sample, by its own function."""
    rows = np.arange(len(quality))
    points = Points(cost[rows, choices].mean(axis=1), quality[rows, choices].mean(axis=1))
    singles = Singles(cost.mean(axis=0), quality.mean(axis=0))
    return {
        "aiq": aiq(points, singles),
        "aiq_gain": aiq(points, singles) - aiq(Points(singles.cost_usd, singles.quality), singles),
        "aiq_log": aiq_log(points, singles),
        "perf_gain": perf_gain(points, singles),
        "cost_save": cost_save(points, singles),
        "cost_save_95": cost_save(points, singles, share=0.95),
        "auc": mean_auc(p, quality),
        "log_loss": log_loss(p, quality),
        "brier": brier(p, quality),
    }


def resampled(weights, choices, quality, cost, p):
    return bootstrap_metrics(weights, choices, quality, cost, p_success=p, success=quality)


def assert_same(found, expected):
    """Summed in another order, so to the last bits; None is NaN."""
    known = {name: np.nan if value is None else value for name, value in expected.items()}
    assert found == pytest.approx(known, rel=1e-9, abs=1e-12, nan_ok=True)


@given(seed=st.integers(0, 10_000), n_prompts=st.integers(1, 40), n_models=st.integers(1, 4))
def test_weights_of_one_give_the_plain_metrics(seed, n_prompts, n_models):
    sample = world(np.random.default_rng(seed), n_prompts, n_models=n_models)
    found = resampled(np.ones((1, n_prompts), dtype=np.float32), *sample)
    assert_same({name: values[0] for name, values in found.items()}, plain(*sample))


@given(seed=st.integers(0, 10_000), n_prompts=st.integers(2, 40))
def test_a_resample_gives_the_plain_metrics_of_the_prompts_that_were_drawn(seed, n_prompts):
    choices, quality, cost, p = world(np.random.default_rng(seed), n_prompts)
    weights = resample_weights(n_prompts, 3, seed=seed)
    found = resampled(weights, choices, quality, cost, p)
    for row, counts in enumerate(weights.astype(int)):
        drawn = np.repeat(np.arange(n_prompts), counts)
        expected = plain(choices[:, drawn], quality[drawn], cost[drawn], p[drawn])
        assert_same({name: values[row] for name, values in found.items()}, expected)


def test_weights_of_one_are_exact_where_sums_are():
    """Costs of powers of two and outcomes of 0 and 1 add up exactly, so nothing may differ."""
    rng = np.random.default_rng(3)
    choices, quality, _, p = world(rng, 64)
    cost = 2.0 ** rng.integers(-3, 4, quality.shape)
    found = resampled(np.ones((1, 64)), choices, quality, cost, p)
    expected = plain(choices, quality, cost, p)
    for name in ("aiq", "aiq_log", "perf_gain", "cost_save", "cost_save_95", "auc"):
        assert found[name][0] == expected[name] or (expected[name] is None and np.isnan(found[name][0]))


def test_the_best_single_model_and_the_range_of_costs_are_of_the_resample():
    """Model 0 costs 1 and solves the first prompt, model 1 costs 3 and the second; the router always takes model 1.

    First prompt alone: cheapest = best = model 0: AIQ 1. Second: from (1, 0) straight to (3, 1): AIQ 0.5, nothing
    saved.
    """
    quality, cost = np.eye(2), np.array([[1.0, 3.0], [1.0, 3.0]])
    found = bootstrap_metrics(np.eye(2) * 2, np.array([[1, 1]]), quality, cost, p_success=None, success=quality)
    assert found["aiq"] == pytest.approx([1.0, 0.5])
    assert found["cost_save"] == pytest.approx([np.nan, 0.0], nan_ok=True)
    assert "auc" not in found


def test_resamples_that_draw_none_of_the_prompts_have_no_metrics():
    sample = world(np.random.default_rng(0), 5)
    found = resampled(np.array([[0.0] * 5, [1.0] * 5]), *sample)
    assert all(np.isnan(values[0]) for values in found.values())
    assert found["log_loss"][1] == pytest.approx(plain(*sample)["log_loss"])


def test_unknown_outcomes_are_left_out_of_predictions():
    """The second model's outcome of the only drawn prompt is unknown: -ln 0.8 and 0.04 of the first alone."""
    found = bootstrap_metrics(
        np.array([[3.0]]), np.array([[0]]), np.ones((1, 2)), np.ones((1, 2)),
        p_success=np.array([[0.8, 0.1]]), success=np.array([[1.0, np.nan]]),
    )  # fmt: skip
    assert found["log_loss"] == pytest.approx([-np.log(0.8)])
    assert found["brier"] == pytest.approx([0.04])
    assert np.isnan(found["auc"][0])


def test_realised_savings_hand_worked():
    """Prompts cost 1 (chosen) and 4 (reference), then 4 and 4. Twice the first: saved 3 / 4; once each: 3 / 8."""
    cost, quality = np.array([[1.0, 4.0], [1.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    saving, kept = bootstrap_realised(np.array([[2, 0], [1, 1], [0, 0]]), np.array([0, 1]), 1, quality, cost)
    assert saving == pytest.approx([0.75, 0.375, np.nan], nan_ok=True)
    assert kept == pytest.approx([1.0, 1.0, np.nan], nan_ok=True)


def test_resample_weights_draw_n_of_n_and_repeat_with_their_seed():
    weights = resample_weights(7, 1000, seed=1)
    assert weights.shape == (1000, 7)
    assert weights.dtype == np.float32
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)
    assert np.array_equal(weights, resample_weights(7, 1000, seed=1))
    assert not np.array_equal(weights, resample_weights(7, 1000, seed=2))


def test_interval_is_over_the_resamples_that_reach_a_value():
    """2.5 and 97.5 of 0 to 100."""
    assert interval(np.append(np.arange(101.0), [np.nan] * 50)) == pytest.approx((2.5, 97.5))
    with pytest.raises(ValueError, match="all 2 resamples are NaN"):
        interval(np.array([np.nan, np.nan]))


def test_interval_is_corrected_for_the_bias_of_resamples():
    """Of 0 to 99, 16 lie below 15.5: z = -0.994, so quantiles at normal(-1.989 -+ 1.96): 0.00004 and 0.4883 of 99."""
    low, high = interval(np.arange(100.0), 15.5)
    assert low == pytest.approx(0.0039, abs=5e-4)
    assert high == pytest.approx(48.35, abs=0.1)


def test_interval_without_bias_is_the_plain_one():
    values = np.random.default_rng(0).normal(size=1001)
    assert interval(values, float(np.median(values))) == pytest.approx(interval(values))
    assert interval(np.full(9, 0.3), 0.3) == pytest.approx((0.3, 0.3))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(-2, 2))
def test_a_corrected_interval_holds_the_value(resamples, value):
    low, high = interval(np.array(resamples), value)
    assert low <= value <= high


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_intervals_cover_the_truth_about_as_often_as_they_say(noise):
    """Truth: the metrics of a million prompts. 300 samples of 400 prompts; 95 % has a standard error of 1.3 points."""
    truth = plain(*world(np.random.default_rng(10_000), 1_000_000, noise=noise))
    covered: dict[str, list[bool]] = {}
    for seed in range(300):
        sample = world(np.random.default_rng(seed), 400, noise=noise)
        point = plain(*sample)
        for name, values in resampled(resample_weights(400, 400, seed=seed), *sample).items():
            if name not in ("cost_save", "cost_save_95"):
                low, high = interval(values, point[name])
                covered.setdefault(name, []).append(low <= truth[name] <= high)
    rates = {name: np.mean(each) for name, each in covered.items()}
    assert all(0.90 <= rate <= 0.99 for rate in rates.values()), rates


@pytest.mark.slow
def test_the_correction_is_needed_where_configurations_differ_by_chance():
    """21 mixes of the cheapest and the best model, each by a lot of its own: the hull is of the luckiest ones."""
    covered = {"plain": [], "corrected": []}

    def lots(rng, n_prompts):
        _, quality, cost, _ = world(rng, n_prompts)
        return np.where(rng.random((21, n_prompts)) < np.linspace(0, 1, 21)[:, None], 2, 0), quality, cost

    def point(choices, quality, cost):
        return bootstrap_frontier(np.ones((1, len(quality)), np.float32), choices, quality, cost)["aiq"][0]

    truth = point(*lots(np.random.default_rng(10_000), 1_000_000))
    for seed in range(300):
        sample = lots(np.random.default_rng(seed), 400)
        values = bootstrap_frontier(resample_weights(400, 400, seed=seed), *sample)["aiq"]
        for name, (low, high) in (("plain", interval(values)), ("corrected", interval(values, point(*sample)))):
            covered[name].append(low <= truth <= high)
    plain_rate, corrected_rate = (np.mean(each) for each in covered.values())
    assert plain_rate < 0.86 < corrected_rate, (plain_rate, corrected_rate)


@pytest.mark.slow
def test_paired_differences_cover_the_truth_and_are_narrower_than_unpaired_ones():
    """Two routers on the same prompts, one guessing worse: the difference of their log losses and AIQ."""

    def pair(rng, n_prompts):
        choices, quality, cost, good = world(rng, n_prompts, noise=0.3)
        logit = np.log(good / (1 - good)) + rng.normal(0, 0.7, good.shape)
        bad = 1 / (1 + np.exp(-logit))
        price = np.geomspace(1e-4, 1e-2, 3)
        worse = np.array([np.argmax(bad * value - price, axis=1) for value in np.geomspace(1e-4, 10, 8)])
        return (choices, quality, cost, good), (worse, quality, cost, bad)

    first, second = pair(np.random.default_rng(10_000), 1_000_000)
    truth = {name: value - plain(*second)[name] for name, value in plain(*first).items() if name in ("aiq", "log_loss")}
    covered, paired, unpaired = {name: [] for name in truth}, [], []
    for seed in range(300):
        weights = resample_weights(400, 400, seed=seed)
        samples = pair(np.random.default_rng(seed), 400)
        first, second = (resampled(weights, *each) for each in samples)
        point, other = (plain(*each) for each in samples)
        for name, value in truth.items():
            low, high = interval(first[name] - second[name], point[name] - other[name])
            covered[name].append(low <= value <= high)
        paired.append((first["log_loss"] - second["log_loss"]).std())
        unpaired.append(np.hypot(first["log_loss"].std(), second["log_loss"].std()))
    assert all(0.90 <= np.mean(each) <= 0.99 for each in covered.values()), covered
    assert np.mean(paired) < 0.7 * np.mean(unpaired)
