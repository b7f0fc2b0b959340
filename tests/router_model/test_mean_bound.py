"""The betting test of a mean, against a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from router_model.mean_bound import mean_lower_bound, shows_mean


def bets_in_turn(outcomes, target, level, effect):
    """Waudby-Smith & Ramdas' predictable plug-in for a fixed n, one outcome after the other."""
    log_wealth, most, mean, squares = 0.0, 0.0, 0.0, 0.25
    seen = [0.5]  # a prior outcome
    for n_before, outcome in enumerate(outcomes, start=1):
        variance = squares / n_before
        bet = min(math.sqrt(2 * math.log(1 / level) * effect / (len(outcomes) * variance)), 0.5 / target)
        log_wealth += math.log1p(bet * (outcome - target)) / effect
        most = max(most, log_wealth)
        seen.append(outcome)
        mean = sum(seen) / len(seen)
        squares += (outcome - mean) ** 2
    return most >= math.log(1 / level)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.sampled_from([0.05, 0.1, 0.5]),
    st.sampled_from([1.0, 2.5]),
)
def test_the_vectors_are_the_loop(outcomes, target, level, effect):
    assert shows_mean(outcomes, target, level=level, design_effect=effect) == bets_in_turn(
        outcomes, target, level, effect
    )


def test_two_bets_by_hand():
    """Two outcomes of 1, target 0.5, level 0.5: the first bet is the largest, 0.5 / 0.5 = 1, and wins half a coin.

    After it the mean is 0.75 and the variance (0.25 + 0.25 ** 2) / 2 = 0.15625; the bet would be 2.1, so it is 1 again.
    1.5 x 1.5 = 2.25 coins are more than 1 / 0.5, and 1.5 are not.
    """
    assert shows_mean([1, 1], 0.5, level=0.5)
    assert not shows_mean([1], 0.5, level=0.5)


def test_the_bound_is_below_the_mean_and_nears_it():
    outcomes = np.random.default_rng(0).beta(5, 1.25, 3000)
    few, many = (mean_lower_bound(outcomes[:n], level=0.1) for n in (100, 3000))
    assert few < many < outcomes.mean()
    assert many == pytest.approx(outcomes.mean(), abs=0.01)
    assert mean_lower_bound(np.zeros(50), level=0.1) == 0


def empirical_bernstein(x, target, level):
    """Maurer & Pontil (2009), theorem 4."""
    log = math.log(2 / level)
    return x.mean() - math.sqrt(2 * x.var(ddof=1) * log / len(x)) - 7 * log / (3 * (len(x) - 1)) >= target


def hoeffding_bentkus(x, target, level):
    """Bates, Angelopoulos, Lei, Malik & Jordan (2021), section 3.1."""
    mean = float(x.mean())
    if mean <= target:
        return False
    apart = mean * math.log(mean / target) + (1 - mean) * math.log((1 - mean) / (1 - target))
    bentkus = math.e * binom.sf(math.ceil(mean * len(x) - 1e-9) - 1, len(x), target)
    return min(math.exp(-len(x) * apart), bentkus) <= level


def judged(rng, n):
    return rng.choice([0, 0.25, 0.5, 0.75, 1], n, p=[0.05, 0.05, 0.1, 0.25, 0.55])


def smooth(rng, n):
    return rng.beta(5, 1.25, n)


def nearly_binary(rng, n):
    return np.where(rng.random(n) < 0.8, rng.random(n) < 0.8, rng.random(n) ** 0.3)


def rarely_bad(rng, n):
    return np.where(rng.random(n) < 0.03, 0, rng.beta(60, 1.5, n))


@pytest.mark.slow
@pytest.mark.parametrize("world", [judged, smooth, nearly_binary, rarely_bad])
def test_betting_is_valid_and_shows_more_than_other_bounds(world):
    """Targets at the true mean are shown in at most a share of 0.1; ``pytest -s`` prints what is shown below it."""
    mean, rng = world(np.random.default_rng(9), 10**6).mean(), np.random.default_rng(1)
    shares, n_draws, n_prompts = (1.0, 0.99, 0.98, 0.97, 0.95), 1000, 180
    draws = [world(rng, n_prompts) for _ in range(n_draws)]
    shown = {
        name: np.array([np.mean([bound(x, mean * share, 0.1) for x in draws]) for share in shares])
        for name, bound in {
            "betting": lambda x, target, level: shows_mean(x, target, level=level),
            "empirical Bernstein": empirical_bernstein,
            "Hoeffding-Bentkus": hoeffding_bentkus,
        }.items()
    }
    for name, each in shown.items():
        print(f"\n{world.__name__}, {name}: shares {shares} of the mean shown {each.round(2)}", end="")
    assert shown["betting"][0] <= 0.1 + 3 * math.sqrt(0.09 / n_draws)
    assert (shown["betting"] >= np.maximum(shown["empirical Bernstein"], shown["Hoeffding-Bentkus"]) - 0.02).all()
