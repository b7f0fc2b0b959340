"""Confidence sequences: the formulas by hand and by integration, and the promise by simulation."""

import numpy as np
import pytest
from scipy.integrate import quad

from router_model.sequential.confidence_sequences import difference_values, gamma_mixture_lower

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


def test_differences_by_hand():
    """Share 1/4. The means before are 1/2, (1/2 + 1) / 2 = 3/4 and (1/2 + 1 + 0) / 3 = 1/2.

    So x = (1 - 1/2) 4 = 2, -(0 - 3/4) 4/3 = 1 and -(1 - 1/2) 4/3 = -2/3. The first is between -1/2 4 and 1/2 4, the
    second between -3/4 4 (a canary with 0) and 3/4 4/3 or 1/4 4.
    """
    found = difference_values([True, False, False], [1.0, 0.0, 1.0], share=0.25)
    assert found.values == pytest.approx([2, 1, -2 / 3])
    assert found.floors == pytest.approx([2, 3, 2])
    assert found.ceilings == pytest.approx([2, 1, 2])


def test_capital_of_bets_by_hand():
    """x = 2 with a floor of 2, against "0.5 at most": xi = 1.5 / 2.5 = 0.6, and the capital is 1 + 0.6 times a bet."""
    found = difference_values([True], [1.0], share=0.25)
    bets = np.geomspace(0.005, 0.8, 16)
    assert np.exp(found.log_e_above(0.5)) == pytest.approx([np.mean(1 + 0.6 * bets)])
    assert np.exp(found.log_e_below(0.0)) == pytest.approx([np.mean(1 - bets)])


def test_bounds_of_a_difference_are_where_the_capital_reaches_the_threshold():
    rng = np.random.default_rng(0)
    canary, rewards = rng.random(2000) < 0.1, rng.random(2000)
    found = difference_values(canary, rewards, share=0.1)
    low, high = found.bounds(alpha=ALPHA)
    assert low < 0 < high
    assert np.exp(found.log_e_above(low)[-1]) == pytest.approx(2 / ALPHA, rel=1e-3)
    assert np.exp(found.log_e_below(high)[-1]) == pytest.approx(2 / ALPHA, rel=1e-3)
    assert difference_values([], [], share=0.1).bounds() == (-np.inf, np.inf)


def test_bounds_narrow_with_the_variance():
    """Values that hardly vary are known better than coins."""
    rng = np.random.default_rng(0)
    steady, coins = rng.uniform(0.45, 0.55, 3000), rng.integers(0, 2, 3000)
    lows = [gamma_mixture_lower(x)[-1] for x in (steady, coins)]
    assert 0.495 < lows[0] < 0.5
    assert 0.43 < lows[1] < coins.mean()
    canary = rng.random(3000) < 0.5
    widths = [np.ptp(difference_values(canary, x, share=0.5).bounds()) for x in (steady, coins)]
    assert widths[0] < 0.03
    assert 0.1 < widths[1] < 0.25


@pytest.mark.parametrize(("values", "said"), [([0.5, -0.1], "value 1 is -0.1, expected one from 0 to inf"),
                                              ([np.nan], "value 0 is nan, expected one from 0 to inf")])  # fmt: skip
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        gamma_mixture_lower(values)


def test_differences_refuse_rewards_above_the_largest():
    with pytest.raises(ValueError, match="value 1 is 1.5, expected one from 0 to 1; scale the values first"):
        difference_values([True, False], [1.0, 1.5], share=0.5)


@pytest.mark.slow
def test_truth_is_ever_excluded_in_at_most_alpha_of_the_streams():
    """Weighted rewards with weights up to 20."""
    rng = np.random.default_rng(1)
    excluded = {"weighted": 0, "weighted, failures": 0}
    chance = np.where(np.arange(N_LOOKS) % 2, 0.05, 0.5)
    for _ in range(N_STREAMS):
        taken, reward = rng.random(N_LOOKS) < chance, rng.random(N_LOOKS) < 0.7
        for name, value, truth in (("weighted", reward, 0.7), ("weighted, failures", 1.0 - reward, 0.3)):
            excluded[name] += bool((gamma_mixture_lower(taken / chance * value, alpha=ALPHA) > truth).any())
    assert max(excluded.values()) <= ALPHA * N_STREAMS, excluded


@pytest.mark.slow
def test_repeated_z_tests_are_wrong_where_the_sequence_is_not():
    """An equal canary of 10 %: the z-test calls a difference in a third of the streams, the bets in at most 5 %."""
    rng = np.random.default_rng(2)
    wrong = {"z": 0, "bets": 0}
    for _ in range(N_STREAMS):
        canary, good = rng.random(N_LOOKS) < 0.1, rng.random(N_LOOKS) < 0.8
        found = difference_values(canary, good, share=0.1)
        wrong["bets"] += bool((np.maximum(found.log_e_above(), found.log_e_below()) >= np.log(2 / ALPHA)).any())
        x = np.where(canary, good / 0.1, -(good / 0.9))
        t = np.arange(1, N_LOOKS + 1)
        mean = np.cumsum(x) / t
        error = np.sqrt((np.cumsum(x**2) / t - mean**2) / t)
        wrong["z"] += bool((np.abs(mean) > 1.96 * error)[100:].any())
    assert wrong["bets"] <= ALPHA * N_STREAMS
    assert wrong["z"] > 0.25 * N_STREAMS


@pytest.mark.slow
def test_a_worse_canary_is_seen():
    """Half of the traffic, 80 % against 60 %: seen within 3,000 sessions in nearly every stream."""
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(100):
        canary = rng.random(3000) < 0.5
        good = rng.random(3000) < np.where(canary, 0.6, 0.8)
        seen += bool((difference_values(canary, good, share=0.5).log_e_below() >= np.log(2 / ALPHA)).any())
    assert seen >= 95
