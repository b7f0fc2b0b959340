"""Confidence sequences: the formulas by hand and by integration, and the promise by simulation."""

import numpy as np
import pytest
from scipy.integrate import quad

from router_model.sequential.confidence_sequences import difference_bounds, gamma_mixture_lower, predictable_mixture

ALPHA = 0.05
N_STREAMS = 400
N_LOOKS = 2000


def mixture_by_integration(above, spread):
    """Integrate exp(lambda S - psi(lambda) V) over the truncated gamma density with rho = 1."""

    def integrand(rate):
        return np.exp(rate * above + spread * (np.log1p(-rate) + rate)) * np.exp(rate - 1) / (1 - np.exp(-1))

    return quad(integrand, 0, 1)[0]


def test_gamma_mixture_bound_is_where_the_integral_reaches_the_threshold():
    """X = 0, 2, 1, 0, 3: X̂ = 1/2, 1/4, 5/6, 7/8, 7/10, so V = 1/4 + 49/16 + 1/36 + 49/64 + 5.29 and sum X = 6."""
    x = [0.0, 2.0, 1.0, 0.0, 3.0]
    spread = 0.25 + 49 / 16 + 1 / 36 + 49 / 64 + 5.29
    low = gamma_mixture_lower(x, alpha=ALPHA)[-1]
    assert mixture_by_integration(6 - 5 * low, spread) == pytest.approx(1 / ALPHA, rel=1e-6)


def test_large_values_are_predicted_by_at_most_one():
    """After 10, 10 the running mean is 6.8, but X̂ = 1: else one 0 would break the supermartingale."""
    low = gamma_mixture_lower([10.0, 10.0, 0.0], alpha=ALPHA)[-1]
    assert mixture_by_integration(20 - 3 * low, 9.5**2 + 9**2 + 1) == pytest.approx(1 / ALPHA, rel=1e-6)


def test_predictable_mixture_by_hand():
    """x = 1, 1, 0: bets 1/2 and, after the means 3/4, 5/6 and variances (1/4 + 1/16) / 2 and ..., again 1/2.

    Sum of bets x: 1; penalties ((1/2)^2 + (1/4)^2 + (5/6)^2) (ln 2 - 1/2); the sum of bets is 3/2.
    """
    low, high = predictable_mixture([1.0, 1.0, 0.0], alpha=ALPHA)
    penalty = (1 / 4 + 1 / 16 + 25 / 36) * (np.log(2) - 1 / 2)
    assert low[-1] == pytest.approx((1 - np.log(40) - penalty) / 1.5)
    mirrored, _ = predictable_mixture([0.0, 0.0, 1.0], alpha=ALPHA)
    assert high[-1] == pytest.approx(1 - mirrored[-1])


def test_bounds_narrow_with_the_variance():
    """Values that hardly vary are known better than coins."""
    rng = np.random.default_rng(0)
    steady, coins = rng.uniform(0.45, 0.55, 3000), rng.integers(0, 2, 3000)
    width = [np.subtract(*predictable_mixture(x)[::-1])[-1] for x in (steady, coins)]
    assert width[0] < 0.015
    assert 0.05 < width[1] < 0.15
    lows = [gamma_mixture_lower(x)[-1] for x in (steady, coins)]
    assert 0.495 < lows[0] < 0.5
    assert 0.43 < lows[1] < coins.mean()


@pytest.mark.parametrize(("values", "said"), [([0.5, -0.1], "value 1 is -0.1, expected one from 0 to inf"),
                                              ([np.nan], "value 0 is nan, expected one from 0 to inf")])  # fmt: skip
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        gamma_mixture_lower(values)


def test_predictable_mixture_refuses_values_above_one():
    with pytest.raises(ValueError, match="value 1 is 1.5, expected one from 0 to 1; scale the values first"):
        predictable_mixture([1.0, 1.5])


@pytest.mark.slow
def test_truth_is_ever_excluded_in_at_most_alpha_of_the_streams():
    """Weighted rewards with weights up to 20, and coins whose probability drifts with the hour."""
    rng = np.random.default_rng(1)
    excluded = {"weighted": 0, "weighted, failures": 0, "coins": 0, "steady": 0}
    chance = np.where(np.arange(N_LOOKS) % 2, 0.05, 0.5)
    for _ in range(N_STREAMS):
        taken, reward = rng.random(N_LOOKS) < chance, rng.random(N_LOOKS) < 0.7
        for name, value, truth in (("weighted", reward, 0.7), ("weighted, failures", 1.0 - reward, 0.3)):
            excluded[name] += bool((gamma_mixture_lower(taken / chance * value, alpha=ALPHA) > truth).any())
        for name, p in (("coins", 0.2), ("steady", 0.01)):
            low, high = predictable_mixture(rng.random(N_LOOKS) < p, alpha=ALPHA)
            excluded[name] += bool(((low > p) | (high < p)).any())
    assert max(excluded.values()) <= ALPHA * N_STREAMS, excluded


@pytest.mark.slow
def test_repeated_z_tests_are_wrong_where_the_sequence_is_not():
    """An equal canary of 10 %: the z-test calls a difference in a third of the streams, the bounds in at most 5 %."""
    rng = np.random.default_rng(2)
    wrong = {"z": 0, "bounds": 0}
    for _ in range(N_STREAMS):
        canary, good = rng.random(N_LOOKS) < 0.1, rng.random(N_LOOKS) < 0.8
        low, high = difference_bounds(canary, good, share=0.1, alpha=ALPHA)
        wrong["bounds"] += bool(((low > 0) | (high < 0)).any())
        x = np.where(canary, good / 0.1, -(good / 0.9))
        t = np.arange(1, N_LOOKS + 1)
        mean = np.cumsum(x) / t
        error = np.sqrt((np.cumsum(x**2) / t - mean**2) / t)
        wrong["z"] += bool((np.abs(mean) > 1.96 * error)[100:].any())
    assert wrong["bounds"] <= ALPHA * N_STREAMS
    assert wrong["z"] > 0.25 * N_STREAMS


@pytest.mark.slow
def test_a_worse_canary_is_seen():
    """Half of the traffic, 80 % against 60 %: seen within 3,000 sessions in nearly every stream."""
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(100):
        canary = rng.random(3000) < 0.5
        good = rng.random(3000) < np.where(canary, 0.6, 0.8)
        seen += bool((difference_bounds(canary, good, share=0.5)[1] < 0).any())
    assert seen >= 95
