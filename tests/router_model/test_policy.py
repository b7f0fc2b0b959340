import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.policy import Rule, best_by_value, rank_by_budget, rank_by_threshold, rank_by_value

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5))


@st.composite
def worlds(draw):
    shape = draw(shapes)
    p = draw(arrays(float, shape, elements=st.floats(0, 1, width=16)))
    cost = draw(arrays(float, shape, elements=st.floats(0, 1, width=16)))
    return p, cost


@st.composite
def tied_worlds(draw):
    """Few distinct numbers, so that ties are common, and any eligibility, also none at all."""
    shape = draw(shapes)
    p = draw(arrays(float, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    cost = draw(arrays(float, shape, elements=st.sampled_from([0.0, 0.25, 0.5])))
    return p, cost, draw(arrays(bool, shape))


def all_eligible(p):
    return np.ones(p.shape, dtype=bool)


def ranked(p, cost, rule, share):
    """Rank by a rule at a share of its range: values up to 10, or thresholds up to 1."""
    if rule == "value":
        return rank_by_value(p, cost, all_eligible(p), success_value_usd=10 * share)
    return rank_by_threshold(p, cost, all_eligible(p), threshold=share)


@pytest.mark.parametrize("rule", ["value", "threshold"])
@given(world=worlds(), share=st.floats(0, 1), more=st.floats(0, 1))
def test_more_value_or_a_higher_threshold_never_lowers_expected_success(rule, world, share, more):
    p, cost = world
    rows = np.arange(len(p))
    low, high = (ranked(p, cost, rule, at)[:, 0] for at in sorted((share, more)))
    assert np.all(p[rows, high] >= p[rows, low] - 1e-9)


@pytest.mark.parametrize("rule", ["value", "threshold"])
@given(world=worlds(), share=st.floats(0.001, 1))
def test_a_dominated_model_is_never_first(rule, world, share):
    p, cost = world
    first = ranked(p, cost, rule, share)[:, [0]]
    better = p > np.take_along_axis(p, first, axis=1)
    cheaper = cost < np.take_along_axis(cost, first, axis=1)
    assert not (better & cheaper).any()


@given(tied_worlds(), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_the_fast_first_choice_is_the_first_of_the_ranking(world, value):
    p, cost, eligible = world
    ranked = rank_by_value(p, cost, eligible, success_value_usd=value)
    assert np.array_equal(best_by_value(p, cost, eligible, success_value_usd=value), ranked[:, 0])


@given(tied_worlds(), st.floats(0, 2))
def test_an_ineligible_model_is_never_first_where_another_is_eligible(world, number):
    p, cost, eligible = world
    rows = np.flatnonzero(eligible.any(axis=1))
    by_value = rank_by_value(p, cost, eligible, success_value_usd=number)[:, 0]
    by_threshold = rank_by_threshold(p, cost, eligible, threshold=number)[:, 0]
    assert eligible[rows, by_value[rows]].all()
    assert eligible[rows, by_threshold[rows]].all()


@given(tied_worlds(), st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([-1.0, 0.0, 0.25, 1.0]))
def test_budget_rule_against_the_value_rule(world, value, allowance):
    """It is the value rule among what is eligible and fits; where nothing is, the cheapest eligible model."""
    p, cost, eligible = world
    first = rank_by_budget(p, cost, eligible, success_value_usd=value, allowance_usd=allowance)[:, 0]
    fits = eligible & (cost <= allowance)
    by_value = rank_by_value(p, cost, fits, success_value_usd=value)[:, 0]
    cheapest = rank_by_value(p, cost, eligible, success_value_usd=0.0)[:, 0]
    known = eligible.any(axis=1)
    assert np.array_equal(first[known], np.where(fits.any(axis=1), by_value, cheapest)[known])


@given(tied_worlds(), st.sampled_from([0.25, 0.5, 1.0]))
def test_value_rule_against_a_plain_loop_with_ties(world, value):
    p, cost, eligible = world
    ranked = rank_by_value(p, cost, eligible, success_value_usd=value)
    for row in range(len(p)):
        expected = min(
            range(p.shape[1]), key=lambda m: (not eligible[row, m], cost[row, m] - p[row, m] * value, cost[row, m], m)
        )
        assert ranked[row, 0] == expected


@given(worlds(), st.floats(0, 1))
def test_threshold_rule_against_a_plain_loop(world, threshold):
    p, cost = world
    ranked = rank_by_threshold(p, cost, all_eligible(p), threshold=threshold)
    for row in range(len(p)):
        likely = [m for m in range(p.shape[1]) if p[row, m] >= threshold]
        if likely:
            expected = min(likely, key=lambda m: (cost[row, m], m))
        else:
            expected = min(range(p.shape[1]), key=lambda m: (-p[row, m], cost[row, m], m))
        assert ranked[row, 0] == expected


@given(worlds())
def test_every_model_is_ranked_once_and_ineligible_ones_last(world):
    p, cost = world
    eligible = all_eligible(p)
    eligible[:, 0] = False
    for ranked in (
        rank_by_value(p, cost, eligible, success_value_usd=1.0),
        rank_by_threshold(p, cost, eligible, threshold=0.5),
    ):
        assert np.array_equal(np.sort(ranked, axis=1), np.tile(np.arange(p.shape[1]), (len(p), 1)))
        assert np.all(ranked[:, -1] == 0)


def test_a_price_change_changes_the_decision():
    p = np.array([[0.9, 0.8]])
    dear, cheap = np.array([[0.02, 0.001]]), np.array([[0.0005, 0.001]])
    assert rank_by_value(p, dear, all_eligible(p), success_value_usd=0.1)[0, 0] == 1
    assert rank_by_value(p, cheap, all_eligible(p), success_value_usd=0.1)[0, 0] == 0
    assert rank_by_threshold(p, dear, all_eligible(p), threshold=0.5)[0, 0] == 1
    assert rank_by_threshold(p, cheap, all_eligible(p), threshold=0.5)[0, 0] == 0


def test_ties_go_to_the_cheaper_then_the_earlier_model():
    p = np.array([[0.5, 0.5, 0.5]])
    assert rank_by_threshold(p, np.array([[2.0, 1.0, 1.0]]), all_eligible(p), threshold=0.4).tolist() == [[1, 2, 0]]


def test_rules_say_what_they_do():
    assert Rule(None, 0.25).in_words() == "highest P(success) x 0.25 USD - expected cost"
    assert Rule(None, None, quality_value_usd=2.0).in_words() == "highest expected quality x 2 USD - expected cost"
    assert Rule.of_target(0.9, None).in_words() == "cheapest with P(success) >= 0.9"
