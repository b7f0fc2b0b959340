"""The betting test of a mean, against a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
