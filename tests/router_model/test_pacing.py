"""Hand-worked steps, and a simulated stream of two models: 'cheap' (1 cent) and 'good' (10 cents)."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from router_model import BudgetPacer, Constraints, Decision, PacingBudget, PlanStep, Reason, RequestError, SpendCurve
from router_model.explanation.changes import changes_for_runner_up
from router_model.policy import Rule

CURVE = SpendCurve((0.1, 1.0), (0.01, 0.10))
"""Log-linear: a success worth x USD costs x / 10."""


def decision(p_cheap=0.5, p_good=0.9, cost_good=0.10):
    plan = (PlanStep("cheap", p_cheap, 0.01, 100.0), PlanStep("good", p_good, cost_good, 100.0))
    return Decision("cheap", Reason.BEST_TRADEOFF, plan, (), 0.5, None, 1.0, 0.9, "sha256:0")


def pacer(limit=0.05, n_requests=100, **kwargs):
    return BudgetPacer(CURVE, PacingBudget.per_request(limit, n_requests=n_requests), **kwargs)


def test_it_starts_at_the_curves_value_of_the_limit():
    """5 cents a request is the curve's cost at 0.5 USD: 'good' adds 0.4 x 0.5 = 20 cents of value for 9 cents."""
    paced = pacer(limit=0.05).pace(decision())
    assert paced.decision.success_value_usd == pytest.approx(0.5)
    assert (paced.decision.model, paced.decision.reason) == ("good", Reason.BEST_UNDER_BUDGET)
    assert [step.model for step in paced.decision.plan] == ["good", "cheap"]


def test_the_value_steers_what_is_left_to_the_end():
    """After 25 of 100 requests that cost 10 cents, 1.25 USD are over: 5 c - sqrt(1/4) x 1.25 USD / 75 = 4.167 c."""
    stream = pacer(limit=0.05)
    for _ in range(25):
        stream.pace(decision(p_good=1.0, p_cheap=0.0))
    assert stream.spent_usd == pytest.approx(2.5)
    assert stream.success_value_usd == pytest.approx(0.4167, abs=1e-4)


def test_the_guard_keeps_the_cheapest_for_all_that_follow():
    """2 c a request over 10: 20.1 c with the overdraft; 9 c are kept for the others, so 10 c fit once, never again."""
    stream = pacer(limit=0.02, n_requests=10)
    chosen = [stream.pace(decision(p_good=1.0, p_cheap=0.0)).decision.model for _ in range(10)]
    assert chosen == ["good", *["cheap"] * 9]


def test_where_nothing_fits_the_cheapest_is_chosen():
    assert pacer(limit=0.001).pace(decision()).decision.model == "cheap"


def test_an_overdraft_is_paid_back_in_the_next_period():
    """Two requests were billed 4 cents each, 8 in all, in a period with 4 to spend: 4 are owed."""
    stream = pacer(limit=0.02, n_requests=2)
    for _ in range(2):
        stream.settle(stream.pace(decision(p_good=0.0)).ticket, 0.04)
    state = stream.export_state()
    stream.pace(decision(p_good=0.0))
    assert state["spent_usd"] == pytest.approx(0.08)
    assert stream.export_state()["owed_usd"] == pytest.approx(0.04)


def test_a_settled_cost_replaces_the_expected_one_once():
    stream = pacer()
    ticket = stream.pace(decision()).ticket
    assert stream.spent_usd == pytest.approx(0.10)
    assert stream.settle(ticket, 0.03)
    assert not stream.settle(ticket, 0.5)
    assert not stream.settle(999, 0.5)
    assert stream.spent_usd == pytest.approx(0.03)


def test_a_settlement_may_come_in_a_later_period():
    stream = pacer(limit=0.1, n_requests=1)
    ticket = stream.pace(decision()).ticket
    stream.pace(decision())
    before = stream.spent_usd
    assert stream.settle(ticket, 0.15)
    assert stream.spent_usd == pytest.approx(before + 0.05)  # 5 cents more than were expected


@pytest.mark.parametrize("cost", [-0.01, float("nan"), float("inf")])
def test_impossible_costs_are_refused(cost):
    stream = pacer()
    with pytest.raises(RequestError, match="cost_usd=.*; expected what the call cost"):
        stream.settle(stream.pace(decision()).ticket, cost)


@pytest.mark.parametrize(
    ("budget", "match"),
    [
        ({"usd": 0.0, "n_requests": 10}, "budget of 0.0 USD; expected a positive"),
        ({"usd": float("nan"), "n_requests": 10}, "budget of nan USD"),
        ({"usd": 1.0, "n_requests": 0}, "n_requests=0; expected 1 or more"),
        ({"usd": 1.0, "n_requests": 1, "period_s": 0.0}, "period_s=0.0; expected a positive number"),
    ],
)
def test_impossible_budgets_are_refused(budget, match):
    with pytest.raises(RequestError, match=match):
        PacingBudget(**budget)


@pytest.mark.parametrize(
    ("values", "costs"),
    [((), ()), ((1.0,), (1.0, 2.0)), ((1.0, 0.5), (1.0, 2.0)), ((0.0,), (1.0,)), ((1.0,), (math.nan,))],
)
def test_impossible_curves_are_refused(values, costs):
    with pytest.raises(RequestError, match="a spend curve of"):
        SpendCurve(values, costs)


def test_a_curve_goes_both_ways():
    assert CURVE.value_at(0.05) == pytest.approx(0.5)
    assert CURVE.cost_at(0.5) == pytest.approx(0.05)
    assert [CURVE.value_at(cost) for cost in (-1.0, 0.0, 9.0)] == pytest.approx([0.1, 0.1, 1.0])
    assert SpendCurve.from_dict(json.loads(json.dumps(CURVE.as_dict()))) == CURVE


def simulated(n=2000, seed=0):
    """Prompts of which every fifth gains much from 'good' and the others a little; costs vary threefold."""
    rng = np.random.default_rng(seed)
    p_good = 0.5 + np.where(rng.random(n) < 0.2, 0.45, 0.1 * rng.random(n))
    return [
        decision(p_good=float(p), cost_good=float(cost))
        for p, cost in zip(p_good, 0.1 * rng.uniform(0.5, 1.5, n), strict=True)
    ]


def curve_of(decisions):
    p, cost = (
        np.array([[getattr(step, name) for step in one.plan] for one in decisions])
        for name in ("p_success", "expected_cost_usd")
    )
    return SpendCurve.measure(p, cost)


@pytest.mark.parametrize("settled", ["at once", "late", "never", "half of them"])
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_a_stream_stays_within_its_budget(settled, factor):
    """Bills are `factor` times what was expected; where they come in, spend still ends within 1 %."""
    stream = BudgetPacer(curve_of(simulated(seed=1)), PacingBudget.per_request(0.04, n_requests=2000))
    open_tickets, billed = [], 0.0
    for count, one in enumerate(simulated()):
        paced = stream.pace(one)
        cost = paced.decision.plan[0].expected_cost_usd * factor
        billed += cost
        open_tickets.append((paced.ticket, cost))
        if settled == "at once" or (settled == "late" and len(open_tickets) > 5):
            stream.settle(*open_tickets.pop(0))
        if settled == "half of them" and count % 2:
            stream.settle(paced.ticket, cost)
    if settled in {"at once", "late"} or factor == 1.0:
        assert billed / 2000 <= 0.04 * 1.01
        assert billed / 2000 >= 0.04 * 0.94
    assert stream.spent_usd <= 0.04 * 2000 * 1.01


def test_a_wrong_curve_is_corrected_in_the_stream_and_learned_for_the_next_period():
    """Costs are twice what the curve was measured on: the first period ends 3 % over, and the next ones pay it back."""
    cheap = curve_of(simulated(seed=1))
    wrong = SpendCurve(cheap.success_values_usd, tuple(cost / 2 for cost in cheap.mean_cost_usd))
    stream = BudgetPacer(wrong, PacingBudget.per_request(0.04, n_requests=2000))
    spent = []
    for period in range(3):
        steps = [stream.pace(one).decision.plan[0] for one in simulated(seed=period)]
        spent.append(sum(step.expected_cost_usd for step in steps) / 2000)
    assert spent[0] <= 0.04 * 1.03
    assert np.mean(spent) <= 0.04 * 1.01
    assert 1.5 < stream.export_state()["scale"] < 2.5


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def test_a_budget_over_time_is_spent_over_the_time():
    """80 USD a day at 2,000 requests where 1,000 were guessed; the second day has learned the rate."""
    clock = Clock()
    stream = BudgetPacer(curve_of(simulated(seed=1)), PacingBudget(80.0, 1000, period_s=86_400.0), clock=clock)
    for day in range(2):
        spent = 0.0
        for one in simulated(seed=day):
            clock.now += 86_400.0 / 2000.5
            spent += stream.pace(one).decision.plan[0].expected_cost_usd
        assert 76.0 <= spent <= 80.0 * 1.01
    assert stream.export_state()["expected_requests"] == pytest.approx(2000, abs=2)


def test_an_idle_period_pays_back_and_an_odd_clock_is_no_error():
    clock = Clock()
    stream = BudgetPacer(CURVE, PacingBudget(0.02, 1, period_s=10.0), clock=clock)
    stream.settle(stream.pace(decision()).ticket, 0.07)
    clock.now += 30
    assert stream.spent_usd == 0
    assert stream.export_state()["owed_usd"] == pytest.approx(0.01)  # 7 cents less three periods of 2
    clock.now -= 100
    assert stream.pace(decision()).decision.model == "cheap"


def test_the_state_makes_the_round_trip_as_json():
    first, second = pacer(), pacer()
    for _ in range(30):
        first.pace(decision())
    second.import_state(json.loads(json.dumps(first.export_state())))
    assert second.export_state() == first.export_state()
    assert second.pace(decision()) == first.pace(decision())


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ({"version": 99}, "not the state of a budget pacer"),
        ({"spent_usd": math.nan}, "spent_usd is nan; expected a number"),
        ({"spent_usd": "1"}, "spent_usd is '1'"),
        ({"n_requests": -1}, "n_requests is -1"),
        ({"scale": 0.0}, "scale is 0.0; expected 0.1 to 10"),
        ({"stranger": 1}, "expected .*'spent_usd'"),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(damage, match):
    stream = pacer()
    stream.pace(decision())
    before = stream.export_state()
    with pytest.raises(RequestError, match=match):
        stream.import_state({**before, **damage})
    assert stream.export_state() == before


def test_threads_cannot_spend_the_same_money():
    """20 c and 0.1 c of overdraft over 10 requests: one 'good', whoever asks first."""
    stream = pacer(limit=0.02, n_requests=10)
    with ThreadPoolExecutor(8) as pool:
        paced = list(pool.map(lambda _: stream.pace(decision(p_good=1.0, p_cheap=0.0)), range(10)))
    assert [one.decision.model for one in paced].count("good") == 1
    assert sorted(one.ticket for one in paced) == list(range(1, 11))


def test_open_tickets_are_bounded(monkeypatch):
    monkeypatch.setattr("router_model.pacing.pacing._MOST_PENDING", 3)
    stream = pacer()
    tickets = [stream.pace(decision()).ticket for _ in range(5)]
    assert [stream.settle(ticket, 0.0) for ticket in tickets] == [False, False, True, True, True]


def test_a_router_is_paced_from_its_own_curve(trained):
    """A generous limit takes the likely model, a tight one the cheap one; constraints hold."""
    poem = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
    router, curve = trained.router, trained.router.artifact.spend_curve
    for limit, model in ((curve.mean_cost_usd[-1], "large"), (curve.mean_cost_usd[0], "small")):
        stream = BudgetPacer.for_router(router, PacingBudget.per_request(limit))
        assert stream.route(router, poem).decision.model == model
    only = stream.route(router, poem, constraints=Constraints(allow=("large",)))
    assert (only.decision.model, only.decision.reason) == ("large", Reason.ONLY_CANDIDATE)


def test_a_paced_decision_is_explained_as_it_is_paced(trained):
    """A limit near what the cheapest models cost turns the router's plan around, and the explanation with it."""
    poem = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
    router, curve = trained.router, trained.router.artifact.spend_curve
    stream = BudgetPacer.for_router(router, PacingBudget.per_request(1.1 * curve.mean_cost_usd[0], n_requests=100_000))
    unpaced = router.route(poem, explain=True)
    decision = stream.route(router, poem, explain=True).decision
    explanation = decision.explanation
    assert [explanation.chosen.model, explanation.runner_up.model] == [step.model for step in decision.plan[:2]]
    assert (unpaced.explanation.chosen.model, explanation.chosen.model) == ("large", "small")
    assert explanation.chosen.p_success == pytest.approx(decision.plan[0].p_success)
    assert explanation.changes == changes_for_runner_up(decision.plan, Rule(None, decision.success_value_usd))
    assert stream.route(router, poem).decision.explanation is None


def test_where_the_budget_rules_a_model_out_no_value_would_bring_it_back(trained):
    router, curve = trained.router, trained.router.artifact.spend_curve
    stream = BudgetPacer.for_router(router, PacingBudget.per_request(curve.mean_cost_usd[0], n_requests=2))
    explanation = stream.route(router, "moon verse", explain=True).decision.explanation
    assert explanation.changes is None
    assert explanation.chosen.model == "small"


def test_promises_and_explanations_of_the_decision_before_are_dropped(trained):
    before = trained.router.route(
        "moon verse", target_success=trained.router.certificates[0].target_success, explain=True
    )
    paced = pacer().pace(before).decision
    assert None not in (before.certificate, before.explanation)
    assert (paced.certificate, paced.explanation) == (None, None)


def test_a_router_without_a_curve_says_what_to_do(trained):
    from dataclasses import replace

    router = replace(trained.router, artifact=replace(trained.router.artifact, spend_curve=None))
    with pytest.raises(RequestError, match="saved without a spend curve; train it again, or measure one"):
        BudgetPacer.for_router(router, PacingBudget.per_request(0.01))
