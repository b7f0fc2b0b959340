from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router_model import Decision, PlanStep, PredictionTable, Reason
from router_model.policy import Rule
from router_model.serving.engine.sessions.keep import kept_position

VALUE = 0.05
unit = st.floats(0, 1)
price = st.floats(0, 0.1)


def decide(steps, rule):
    """Rank steps as a router does."""
    p, cost = (np.array([[getattr(step, name) for step in steps]]) for name in ("p_success", "expected_cost_usd"))
    table = PredictionTable(tuple(step.model for step in steps), p, cost, cost, np.ones(1), 0.5)
    plan = tuple(steps[i] for i in rule.rank(table, np.ones_like(p, dtype=bool))[0])
    reason = Reason.BEST_TRADEOFF if rule.threshold is None else Reason.CHEAPEST_ABOVE_BAR
    return Decision(plan[0].model, reason, plan, (), 0.5, rule.threshold, rule.success_value_usd, 1.0, "")


def kept(steps, rule, *, uses_tools=False):
    return kept_position(decide(steps, rule), "a", uses_tools=uses_tools) is not None


def by_value(value=VALUE):
    return Rule(None, value)


def test_the_worked_example():
    """0.8 x 0.05 - 0.006 = 0.034 stands against 0.84 x 0.05 - 0.01 = 0.032, not 0.89 x 0.05 - 0.01 = 0.0345."""
    a = PlanStep("a", 0.80, 0.006, 1.0)
    assert kept([a, PlanStep("b", 0.84, 0.010, 1.0)], by_value())
    assert not kept([a, PlanStep("b", 0.89, 0.010, 1.0)], by_value())


@given(unit, price, price, st.sampled_from([by_value(), Rule(0.5, None)]))
def test_equal_models_never_switch(p, cost, saved, rule):
    a, b = PlanStep("a", p, max(cost - saved, 0.0), 1.0), PlanStep("b", p, cost, 1.0)
    assert kept([a, b], rule)
    assert kept([b, a], rule)


@given(unit, unit, price, price, price)
def test_by_value_it_switches_exactly_where_the_gain_exceeds_the_lost_cache(p_a, p_b, cost_a, cost_b, saved):
    assume(saved <= cost_a)
    gain = (p_b * VALUE - cost_b) - (p_a * VALUE - cost_a)
    assume(abs(gain - saved) > 1e-12)
    steps = [PlanStep("a", p_a, cost_a - saved, 1.0), PlanStep("b", p_b, cost_b, 1.0)]
    assert kept(steps, by_value()) == (gain < saved)


@given(unit, unit, st.tuples(price, price, price, price), st.sampled_from([by_value(), Rule(0.5, None)]))
def test_a_warmer_cache_never_loses_the_session(p_a, p_b, usd, rule):
    cost_a, cost_b, saved, more = usd
    b = PlanStep("b", p_b, cost_b, 1.0)
    costs = [max(cost_a - one, 0.0) for one in (saved, saved + more)]
    less_warm, warmer = (kept([PlanStep("a", p_a, cost, 1.0), b], rule) for cost in costs)
    assert warmer or not less_warm


@given(st.lists(st.tuples(unit, price), min_size=1, max_size=5), unit)
def test_by_threshold_only_a_model_above_it_is_kept_or_the_likeliest(others, threshold):
    steps = [PlanStep("abcdefg"[i], p, cost, 1.0) for i, (p, cost) in enumerate(others)]
    if kept(steps, Rule(threshold, None)):
        best = max(step.p_success for step in steps)
        assert steps[0].p_success >= min(threshold, best)


def test_an_excluded_model_is_never_kept_not_even_for_a_tool():
    decision = decide([PlanStep("b", 0.5, 0.1, 1.0)], by_value())
    assert kept_position(decision, "a", uses_tools=True) is None


def test_a_tool_loop_keeps_any_candidate():
    worse = [PlanStep("a", 0.1, 0.1, 1.0), PlanStep("b", 0.9, 0.0, 1.0)]
    assert not kept(worse, by_value())
    assert kept(worse, by_value(), uses_tools=True)


def test_by_expected_quality():
    """0.6 x 0.1 = 0.06 against 0.5 x 0.1 = 0.05, whatever the probabilities say."""
    a = PlanStep("a", 0.1, 0.0, 1.0, expected_quality=0.6)
    b = PlanStep("b", 0.9, 0.0, 1.0, expected_quality=0.5)
    decision = Decision("b", Reason.BEST_TRADEOFF, (b, a), (), 0.5, None, None, 1.0, "", quality_value_usd=0.1)
    assert kept_position(decision, "a", uses_tools=False) == 1


@pytest.mark.parametrize(("reason", "safe"), [(Reason.SAFEST_MODEL, None), (Reason.OUT_OF_DISTRIBUTION, "b")])
def test_what_goes_to_the_safe_model_goes_there(reason, safe):
    b, a = PlanStep("b", 0.5, 0.1, 1.0), PlanStep("a", 0.9, 0.0, 1.0)
    decision = replace(decide([b, a], by_value()), plan=(b, a), reason=reason)
    assert kept_position(decision, "a", uses_tools=False, safe_model=safe) is None
    assert kept_position(decision, "b", uses_tools=False, safe_model=safe) == 0
