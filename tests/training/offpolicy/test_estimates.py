"""Estimates from logs: by hand, and against the truth of replayed worlds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged_replay import made_up_world, replay

from router_model.sequential.confidence_sequences import gamma_mixture_lower
from router_model.training.measuring.operating_point import dr_outcomes
from router_model.training.measuring.verdict import Estimate
from router_model.training.offpolicy.estimates import (
    Chances,
    LoggedPolicy,
    Rewards,
    all_differences,
    anytime_difference,
    dr_parts,
    effective_size,
    ips_parts,
    mean_with_interval,
    requests_to_show,
    saving_on_log,
    saving_with_interval,
    slope,
    smallest_shown,
    snips_parts,
)

NAN = float("nan")
TAKEN = np.array([0, 1, 1, 0])
PROPENSITY = np.array([0.8, 0.2, 0.5, 0.5])
PREDICTED = np.array([[0.5, 0.6], [0.5, 0.7], [0.9, 0.8], [0.4, 0.4]])


def policy(*chosen):
    return LoggedPolicy.choosing(np.array(chosen), TAKEN, PROPENSITY, n_models=2)


def rewards(*values):
    return Rewards(np.array(values), PREDICTED, TAKEN)


def test_values_by_hand():
    """Always the second model: w = 0, 5, 2, 0. IPS has 5 x 1 and 2 x 0, SNIPS 5 / 7.

    DR has 0.6, 0.7 + 5 x 0.3, 0.8 - 2 x 0.8 and 0.4.
    """
    second, told = policy(1, 1, 1, 1), rewards(1.0, 1.0, 0.0, 1.0)
    assert second.weight == pytest.approx([0, 5, 2, 0])
    assert ips_parts(second, told) == pytest.approx([0, 5, 0, 0])
    assert snips_parts(second, told).mean() == pytest.approx(5 / 7)
    assert dr_parts(second, told) == pytest.approx([0.6, 2.2, -0.8, 0.4])


def test_parts_are_the_doubly_robust_outcomes_of_tables():
    """`dr_outcomes` estimates whole tables for training; the log's estimate is the same where a row has one answer."""
    told = rewards(1.0, 1.0, 0.0, 1.0)
    quality, propensity = np.full((2, 4, 2), NAN)
    rows = np.arange(4)
    quality[rows, TAKEN], propensity[rows, TAKEN] = told.value, PROPENSITY
    table = dr_outcomes(quality, propensity, PREDICTED)
    assert dr_parts(policy(0, 1, 0, 1), told) == pytest.approx(table[rows, [0, 1, 0, 1]])


def test_grades_that_are_missing_count_by_their_models_share():
    """Of the second model's two answers one is graded: it counts twice. The first model's are all graded."""
    told = rewards(1.0, 1.0, NAN, 0.0)
    assert told.factor == pytest.approx([1, 2, 0, 1])
    assert ips_parts(policy(1, 1, 1, 1), told) == pytest.approx([0, 10, 0, 0])


def test_rows_where_both_choose_the_same_cancel():
    told = rewards(1.0, 1.0, 0.0, 1.0)
    found = all_differences(policy(0, 1, 1, 0), policy(0, 1, 1, 0), told, range(4))
    assert {estimate.value for estimate in found.values()} == {0.0}


def test_sessions_are_clusters():
    """Four times the same value within each of two sessions: 0 and 1, mean 1/2, standard error 1/2, t(1) = 12.7."""
    found = mean_with_interval(np.repeat([0.0, 1.0], 4), ["a"] * 4 + ["b"] * 4)
    assert found.half_width == pytest.approx(12.706 / 2, rel=1e-4)
    assert mean_with_interval(np.array([0.2]), ["a"]) == Estimate(0.2, -np.inf, np.inf)


def test_an_interval_is_not_narrower_than_what_could_have_been_drawn():
    """The second model against the first, which has 0.9; in 100 rows only the first was drawn, and always succeeded.

    All parts are -0.1 / 0.9, so they do not vary at all. Foreseen are (1 / 0.1 + 1 / 0.9) 0.09, times 0.01 / 0.09 as
    the residuals are 0.1 each: 0.111 a row, or a standard error of 0.0333.
    """
    taken, propensity = np.zeros(100, dtype=np.intp), np.tile([0.9, 0.1], (100, 1))
    told = Rewards(np.ones(100), np.full((100, 2), 0.9), taken)
    second, first = (LoggedPolicy.choosing(taken + c, taken, propensity[:, 0], n_models=2) for c in (1, 0))
    narrow, wide = (
        all_differences(second, first, told, range(100), chances)["DR"]
        for chances in (None, Chances.of_quality(propensity, told))
    )
    assert (narrow.half_width, wide.value) == (pytest.approx(0.0, abs=1e-12), pytest.approx(-0.1 / 0.9))
    assert wide.half_width == pytest.approx(1.984 * 0.03333, rel=1e-3)


def test_the_saving_of_a_log_is_not_narrower_either():
    """Half the price, as predicted: 0.5 saved. Four rows cannot say it without an error if one cost varies."""
    taken, propensity = np.array([0, 0, 1, 1]), np.full((4, 2), 0.5)
    told = Rewards(np.array([2.0, 2.0, 1.0, 1.0]), np.tile([2.0, 1.0], (4, 1)), taken)
    second, first = (LoggedPolicy.choosing(np.full(4, c), taken, propensity[:, 0], n_models=2) for c in (1, 0))
    assert saving_on_log(second, first, told, range(4), Chances.of_cost(propensity, told)).value == pytest.approx(0.5)
    varied = Rewards(np.array([3.0, 1.0, 1.0, 1.0]), told.predicted, taken)
    wide = saving_on_log(second, first, varied, range(4), Chances.of_cost(propensity, varied))
    assert (
        wide.half_width >= saving_with_interval(dr_parts(second, varied), dr_parts(first, varied), range(4)).half_width
    )


def test_savings_have_the_error_of_a_ratio():
    """Costs 1 and 3 against 4 and 4: saved 1/2. Parts (1 - 2) / 4 and (3 - 2) / 4: standard error 1/4."""
    found = saving_with_interval(np.array([1.0, 3.0]), np.array([4.0, 4.0]), range(2))
    assert found.value == 0.5
    assert found.half_width == pytest.approx(12.706 / 4, rel=1e-4)


def test_slope_stops_before_the_interval_that_parts_from_all_before():
    """Twice the half widths: 0 to 1, 0.4 to 0.8, then 0.82 to 0.98, which meets the first and not the second."""
    wide, narrow, biased = Estimate(0.5, 0.25, 0.75), Estimate(0.6, 0.5, 0.7), Estimate(0.9, 0.86, 0.94)
    assert slope([wide, narrow, biased]) == 1
    assert slope([wide, biased]) == 1
    assert slope([wide]) == 0


def test_requests_by_hand():
    """(1.96 + 0.8416)^2 = 7.849; and what 19,622 requests of variance 1/4 show is a point."""
    assert requests_to_show(1.0, 0.1) == pytest.approx(784.9, abs=0.1)
    assert smallest_shown(0.25, 19_622) == pytest.approx(0.01, rel=1e-4)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_effective_size_is_at_most_the_number_of_rows(weights):
    assert 0 <= effective_size(np.array(weights)) <= len(weights) + 1e-9


def test_anytime_interval_is_that_of_the_scaled_parts():
    """DR parts of the difference are at least -W = -5; (part + 5) / 6 goes into the sequence."""
    told, first, second = rewards(1.0, 1.0, 0.0, 1.0), policy(1, 1, 1, 1), policy(0, 0, 0, 0)
    parts = dr_parts(first, told) - dr_parts(second, told)
    assert parts.min() >= -5
    low = 6 * gamma_mixture_lower((parts + 5) / 6, alpha=0.025)[-1] - 5
    found = anytime_difference(first, second, told, largest_weight=5.0)
    assert found.value == pytest.approx(parts.mean())
    assert found.low == max(low, -1.0)
    assert anytime_difference(second, first, told, largest_weight=5.0).low == pytest.approx(-found.high)


def test_without_any_grade_nothing_is_known():
    told = rewards(NAN, NAN, NAN, NAN)
    found = anytime_difference(policy(1, 1, 1, 1), policy(0, 0, 0, 0), told, largest_weight=5.0)
    assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "n", "how"),
    [
        ("disagreements 10 %", 8_000, {"turns": 2}),
        ("disagreements 50 %", 8_000, {"graded": 0.3}),
    ],
)
def test_intervals_cover_and_dr_errs_less_than_ips(design, n, how):
    """400 logs with more than 100 challenger rows each: 93 to 97 % of the intervals cover, up to chance.

    A share of 0.95 has a standard error of 1.1 points in 400 logs, so 0.92 to 0.98 is asked for here.
    """
    world, rng = made_up_world(), np.random.default_rng(0)
    errors, covered, excluded = {}, 0, 0
    for _ in range(400):
        log = replay(world, design, n, rng, **how)
        assert log.n_challenger > 100
        found = all_differences(log.challenger, log.champion, log.rewards, log.sessions, log.chances)
        for name, estimate in found.items():
            errors.setdefault(name, []).append(estimate.value - world.truth)
        covered += found["DR"].low <= world.truth <= found["DR"].high
        anytime = anytime_difference(log.challenger, log.champion, log.rewards, largest_weight=log.largest_weight)
        excluded += not anytime.low <= world.truth <= anytime.high
    rms = {name: float(np.sqrt(np.mean(np.square(values)))) for name, values in errors.items()}
    bias = np.mean(errors["DR"]) / (np.std(errors["DR"]) / 20)
    print(design, n, how, f"coverage {covered / 400:.3f}", rms)
    assert 0.92 <= covered / 400 <= 0.98
    assert rms["DR"] <= rms["IPS"]
    assert abs(bias) < 4
    assert excluded <= 20


@pytest.mark.slow
def test_truth_is_ever_excluded_in_at_most_alpha_of_the_logs():
    """Looked at after every 300 requests of 3,000, in 200 logs."""
    world, rng = made_up_world(), np.random.default_rng(1)
    excluded = 0
    for _ in range(200):
        log = replay(world, "disagreements 50 %", 3000, rng)
        looks = (first_rows(log, n) for n in range(300, 3001, 300))
        excluded += any(not look.low <= world.truth <= look.high for look in looks)
    assert excluded <= 10


def first_rows(log, n):
    policies = (LoggedPolicy(each.probabilities[:n], each.weight[:n]) for each in (log.challenger, log.champion))
    told = Rewards(log.rewards.value[:n], log.rewards.predicted[:n], log.rewards.taken[:n])
    return anytime_difference(*policies, told, largest_weight=log.largest_weight)
