import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router_model.certificate import Certificate
from router_model.explanation.changes import changes_by_threshold, changes_by_value, changes_for_runner_up
from router_model.plan import PlanStep
from router_model.policy import Rule, rank_by_threshold, rank_by_value

HAIR = 1e-6


def by_value(p, cost, value):
    return rank_by_value(p[None], cost[None], np.ones((1, len(p)), bool), success_value_usd=value)[0]


def by_threshold(p, cost, threshold):
    return rank_by_threshold(p[None], cost[None], np.ones((1, len(p)), bool), threshold=threshold)[0]


@st.composite
def plans(draw, rank, knobs):
    """Draw probabilities and costs in the order of a plan, and the knob that made it."""
    n = draw(st.integers(2, 5))
    p = np.array(draw(st.lists(st.integers(1, 99), min_size=n, max_size=n))) / 100
    cost = np.array(draw(st.lists(st.integers(1, 100), min_size=n, max_size=n))) / 1000
    knob = draw(knobs)
    order = rank(p, cost, knob)
    return p[order], cost[order], knob


def changed(values, factor=1.0, to=None):
    """Return a plan's values with the runner-up's changed."""
    new = values.copy()
    new[1] = values[1] * factor if to is None else to
    return new


def beyond(change):
    return change.flips_at * (1 + HAIR) if change.direction == "above" else change.flips_at * (1 - HAIR)


def short_of(change):
    return change.flips_at * (1 - HAIR) if change.direction == "above" else change.flips_at * (1 + HAIR)


def test_changes_by_value_are_where_the_models_are_level():
    """At 10 cents, 0.5 for 0 beats 0.9 for 5 cents, 0.05 to 0.04: level at 12.5 cents, p 1.0 or 4 cents.

    No probability under 1 is enough, and 4 cents are 0.8 of 5.
    """
    found = changes_by_value([0.5, 0.9], [0.0, 0.05], success_value_usd=0.1)
    assert (found.success_value_usd.flips_at, found.success_value_usd.direction) == (pytest.approx(0.125), "above")
    assert found.p_success is None
    assert found.cost_factor.flips_at == pytest.approx(0.8)
    assert found.threshold is None


def test_a_runner_up_that_never_is_the_best_has_no_value():
    """0.7 for 3 cents is under the line from 0.5 for 0 to 0.95 for 4: 0.2 a 3 cents against 0.45 a 4 cents."""
    p, cost = [0.5, 0.7, 0.95], [0.0, 0.03, 0.04]
    assert by_value(np.array(p), np.array(cost), 0.05).tolist() == [0, 2, 1]
    found = changes_by_value([0.5, 0.95, 0.7], [0.0, 0.04, 0.03], success_value_usd=0.05)
    assert found.success_value_usd.flips_at == pytest.approx(0.04 / 0.45)
    assert changes_by_value(p, cost, success_value_usd=0.05).success_value_usd is None


def test_a_worthless_success_goes_to_the_cheapest_whatever_the_probability():
    found = changes_by_value([0.5, 0.9], [0.01, 0.02], success_value_usd=0.0)
    assert found.p_success is None
    assert found.cost_factor.flips_at == pytest.approx(0.5)


@given(plans(by_value, st.floats(0.001, 10)))
def test_changes_by_value_flip_the_decision_and_a_hair_less_does_not(plan):
    p, cost, value = plan
    found = changes_by_value(p, cost, success_value_usd=value)
    flip = found.success_value_usd
    if flip is not None:
        assume(flip.flips_at > 0)
        assert by_value(p, cost, beyond(flip))[0] == 1
        assert by_value(p, cost, short_of(flip))[0] != 1
    if found.p_success is not None:
        needed, hair = found.p_success.flips_at, HAIR / min(value, 1)
        assert by_value(changed(p, to=needed + hair), cost, value)[0] == 1
        assert by_value(changed(p, to=needed - hair), cost, value)[0] != 1
    if found.cost_factor is not None:
        assert by_value(p, changed(cost, found.cost_factor.flips_at - HAIR), value)[0] == 1
        assert by_value(p, changed(cost, found.cost_factor.flips_at + HAIR), value)[0] != 1


@given(plans(by_value, st.floats(0.001, 10)))
def test_what_is_said_to_be_impossible_by_value_is(plan):
    p, cost, value = plan
    found = changes_by_value(p, cost, success_value_usd=value)
    if found.success_value_usd is None:
        assert all(by_value(p, cost, other)[0] != 1 for other in np.geomspace(1e-5, 1e5, 97) * np.pi)
    if found.p_success is None:
        assert by_value(changed(p, to=1 - HAIR), cost, value)[0] != 1
    if found.cost_factor is None:
        assert by_value(p, changed(cost, to=1e-9), value)[0] != 1


@given(plans(by_threshold, st.integers(0, 100).map(lambda percent: percent / 100)))
def test_changes_by_threshold_flip_the_decision_and_a_hair_less_does_not(plan):
    p, cost, threshold = plan
    found = changes_by_threshold(p, cost, threshold=threshold)
    if found.threshold is not None:
        above = found.threshold.direction == "above"
        at, over = (by_threshold(p, cost, found.threshold.flips_at + hair)[0] for hair in (0, HAIR))
        assert (at == 1, over == 1) == ((False, True) if above else (True, False))
    if found.p_success is not None:
        assert by_threshold(changed(p, to=found.p_success.flips_at + HAIR), cost, threshold)[0] == 1
        assert by_threshold(changed(p, to=found.p_success.flips_at - HAIR), cost, threshold)[0] != 1
    if found.cost_factor is not None:
        assert by_threshold(p, changed(cost, found.cost_factor.flips_at - HAIR), threshold)[0] == 1
        assert by_threshold(p, changed(cost, found.cost_factor.flips_at + HAIR), threshold)[0] != 1


@given(plans(by_threshold, st.integers(0, 100).map(lambda percent: percent / 100)))
def test_what_is_said_to_be_impossible_by_threshold_is(plan):
    p, cost, threshold = plan
    found = changes_by_threshold(p, cost, threshold=threshold)
    if found.threshold is None:
        assert all(by_threshold(p, cost, other)[0] != 1 for other in np.linspace(0, 1, 201))
    if found.p_success is None:
        assert by_threshold(changed(p, to=1.0), cost, threshold)[0] != 1
    if found.cost_factor is None:
        assert by_threshold(p, changed(cost, to=1e-9), threshold)[0] != 1


def certificate(**changes):
    known = {
        "target_success": 0.9, "quality_bar": 0.5, "delta": 0.1, "n_targets": 1, "split_hash": "", "n_prompts": 100,
        "realised_success": 0.95, "success_value_usd": 0.1, "safest_model": "a", "safest_success": 0.9, "reason": None,
        "assumptions": "",
    }  # fmt: skip
    return Certificate(**{**known, **changes})


def test_certified_rules_are_value_rules_and_the_safest_model_is_not_displaced():
    plan = (PlanStep("a", 0.9, 0.01, 1.0), PlanStep("b", 0.95, 0.05, 1.0))
    certified = changes_for_runner_up(plan, Rule(None, 0.1, certificate()))
    assert certified == changes_by_value([0.9, 0.95], [0.01, 0.05], success_value_usd=0.1)
    refused = certificate(success_value_usd=None, reason="0.99 is not reached", realised_success=0.5)
    nothing = changes_for_runner_up(plan, Rule(None, 1e6, refused))
    assert (nothing.success_value_usd, nothing.p_success, nothing.cost_factor) == (None, None, None)
    assert changes_for_runner_up(plan[:1], Rule(0.5, None)) is None
