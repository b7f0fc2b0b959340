import pytest

from router_model import RequestError
from router_model.goal import (
    KNOBS,
    OWN_TRADEOFF,
    OwnTradeoff,
    QualityValue,
    SuccessValue,
    TargetSuccess,
    Tradeoff,
    read_goal,
)

GOALS = {
    "target_success": TargetSuccess(0.5, 0.7),
    "success_value_usd": SuccessValue(0.5, 0.7),
    "quality_value_usd": QualityValue(0.5, 0.7),
    "cost_quality_tradeoff": Tradeoff(0.5, 0.7),
}


@pytest.mark.parametrize("knob", GOALS)
def test_a_knob_makes_its_goal_and_excludes_the_others(knob):
    assert read_goal(quality_bar=0.7, **{knob: 0.5}) == GOALS[knob]
    for other in set(GOALS) - {knob}:
        got = " and ".join(f"{name}=0.5" for name in KNOBS if name in (knob, other))
        with pytest.raises(RequestError, match=f"give one of target_success, .*, not more; got {got}$"):
            read_goal(**{knob: 0.5, other: 0.5})


def test_who_asks_for_nothing_gets_the_routers_own_tradeoff():
    assert read_goal() is OWN_TRADEOFF
    assert read_goal(quality_bar=0.7) == OwnTradeoff(0.7)


@pytest.mark.parametrize(
    ("knob", "values", "expected"),
    [
        ("target_success", (-0.1, 1.5, float("nan")), "a probability between 0 and 1"),
        ("success_value_usd", (-1.0, float("inf"), float("nan")), "an amount in USD, 0 or more"),
        ("quality_value_usd", (-1.0, float("inf"), float("nan")), "an amount in USD, 0 or more"),
        ("cost_quality_tradeoff", (-0.1, 10.1, float("inf"), float("nan")), r"a number from 0 \(quality\) to 10"),
    ],
)
def test_impossible_numbers_are_refused(knob, values, expected):
    for value in values:
        with pytest.raises(RequestError, match=f"{knob}={value!r}; expected {expected}"):
            read_goal(**{knob: value})


def test_every_goal_has_its_rule(trained):
    """Own trade-offs weigh expected quality, or success where the goal names a bar."""
    router, own = trained.router, trained.router.artifact.operating_point
    assert router.rule() == router.rule(Tradeoff(7)) == router.rule(QualityValue(own.quality_value_usd))
    assert router.rule(OwnTradeoff(0.7)) == router.rule(SuccessValue(own.quality_value_usd))
    assert router.rule(QualityValue(2.0)).quality_value_usd == 2.0
    assert router.rule(TargetSuccess(0.123)).threshold == 0.123
    assert (router.quality_bar(OWN_TRADEOFF), router.quality_bar(Tradeoff(7, 0.7))) == (own.quality_bar, 0.7)
