"""Sequential tests: e-values by hand, and canaries in simulation."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from router_model.sequential.sequential_tests import log_e_binomial, share_interval

ALPHA = 0.05


def test_e_value_by_hand():
    """2 of 3 failures in a canary of 10 %: B(3, 2) = 1/12, over 0.1^2 0.9 = 0.009."""
    assert exp(log_e_binomial(2, 1, 0.1)) == pytest.approx(1 / 12 / 0.009)
    assert log_e_binomial(0, 0, 0.1) == pytest.approx(0)


def test_one_sided_e_value_is_the_integral_over_one_side():
    upper = quad(lambda p: p**2 * (1 - p), 0.1, 1)[0] / 0.9 / 0.009
    lower = quad(lambda p: p**2 * (1 - p), 0, 0.1)[0] / 0.1 / 0.009
    assert exp(log_e_binomial(2, 1, 0.1, alternative="greater")) == pytest.approx(upper)
    assert exp(log_e_binomial(2, 1, 0.1, alternative="less")) == pytest.approx(lower)


@given(hits=st.integers(0, 60), misses=st.integers(0, 60), share=st.sampled_from([0.05, 0.5, 0.8]),
       alternative=st.sampled_from(["different", "greater", "less"]))  # fmt: skip
def test_e_values_stay_the_same_on_average(hits, misses, share, alternative):
    """One more event: a hit with probability `share`. Of a one-sided e-value, too, at the edge of the hypothesis."""
    now = exp(log_e_binomial(hits, misses, share, alternative=alternative))
    hit, miss = (exp(log_e_binomial(hits + one, misses + 1 - one, share, alternative=alternative)) for one in (1, 0))
    assert share * hit + (1 - share) * miss == pytest.approx(now, rel=1e-6, abs=1e-200)


def test_evidence_to_the_contrary_is_no_evidence():
    assert log_e_binomial(0, 5000, 0.5, alternative="greater") < -1000
    assert log_e_binomial(5000, 0, 0.5, alternative="greater") > 3000


@given(hits=st.integers(0, 300), misses=st.integers(0, 300))
def test_the_interval_of_a_share_ends_where_the_e_value_rules_it_out(hits, misses):
    low, high = share_interval(hits, misses, alpha=ALPHA)
    seen = hits / max(hits + misses, 1)
    assert low <= seen <= high
    for end, is_edge in ((low, hits == 0), (high, misses == 0)):
        if hits + misses and not is_edge:
            assert exp(log_e_binomial(hits, misses, end)) == pytest.approx(1 / ALPHA, rel=1e-6)
        else:
            assert end == (0.0 if end == low else 1.0)


def stops(hits, misses, share, **how):
    """Return after how many events each stream stops; the number of events plus 1 where it never does."""
    reached = log_e_binomial(np.cumsum(hits, axis=1), np.cumsum(misses, axis=1), share, **how) >= log(1 / ALPHA)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, hits.shape[1] + 1)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_an_equal_canary_is_stopped_in_at_most_alpha_of_the_runs_and_a_bad_one_soon(share):
    """400 runs of 20,000 sessions; 1 % to 6 % fail, by the hour. The bad canary fails three times as often.

    It is stopped after 300 of its own sessions or less, in half of the runs.
    """
    rng = np.random.default_rng(4)
    n = 20_000
    base = 0.035 + 0.025 * np.sin(np.arange(n) / 500)
    late = {}
    for name, factor in (("equal", 1), ("bad", 3)):
        canary = rng.random((400, n)) < share
        failed = rng.random((400, n)) < base * np.where(canary, factor, 1)
        late[name] = stops(canary & failed, ~canary & failed, share, alternative="greater")
    assert np.mean(late["equal"] <= n) <= ALPHA
    assert np.mean(late["bad"] <= n) > 0.99
    assert np.median(late["bad"]) * share < 300


@pytest.mark.slow
def test_assignment_that_is_not_as_promised_is_found():
    """Of 10 %, sessions get lost in one in ten cases, so it is 9.1 %: found within 50,000; at 10 % in at most alpha."""
    rng = np.random.default_rng(5)
    canary = rng.random((400, 20_000)) < 0.1
    assert np.mean(stops(canary, ~canary, 0.1) <= 20_000) <= ALPHA
    lost = rng.random((100, 50_000)) < 1 / 11
    assert np.mean(stops(lost, ~lost, 0.1) <= 50_000) > 0.95
