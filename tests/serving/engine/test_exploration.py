from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from router_model import PlanStep
from router_model.plan import Plan
from router_model.serving.engine.exploration import Exploration, Rival, certain, draw, with_rival

PLAN = [
    PlanStep("chosen", 0.90, 0.010, 100.0),
    PlanStep("just near", 0.80, 0.030, 100.0),
    PlanStep("likelier", 0.99, 0.029, 100.0),
    PlanStep("unlikely", 0.79, 0.001, 100.0),
    PlanStep("dear", 0.95, 0.031, 100.0),
]
NEAR = Exploration(share=0.3, max_p_drop=0.1, max_cost_ratio=3.0)


def steps(n):
    step = st.builds(PlanStep, st.just("m"), st.floats(0, 1), st.floats(0, 1), st.just(1.0))
    return st.lists(step, min_size=1, max_size=n)


def test_propensities_by_hand():
    """Near are the first three (0.9 - 0.1 = 0.8; 3 x 0.01 = 0.03); the fourth is far (0.3 x 0.2), the last too dear."""
    assert NEAR.propensities(PLAN) == pytest.approx([0.7 + 0.08, 0.08, 0.08, 0.06, 0])


def test_draws_come_as_often_as_their_propensities_say():
    """100,000 draws; a chi-square of their counts per candidate, at a fixed seed."""
    rng, n = Random(7), 100_000
    drawn = Counter(draw(NEAR.propensities(PLAN), rng) for _ in range(n))
    expected = [n * propensity for propensity in NEAR.propensities(PLAN)[:4]]
    assert sorted(drawn) == [0, 1, 2, 3]
    assert chisquare([drawn[i] for i in range(4)], expected).pvalue > 0.01


def test_everything_is_near_where_distances_are_large():
    everywhere = Exploration(share=1.0, max_p_drop=1.0, max_cost_ratio=1e9)
    assert everywhere.propensities(PLAN) == pytest.approx([0.2] * 5)


def test_without_a_share_nothing_is_drawn():
    off, rng = Exploration(share=0.0, max_p_drop=1.0, max_cost_ratio=1e9), Random(0)
    assert off.propensities(PLAN) == [1, 0, 0, 0, 0] == certain(5)
    assert {draw(off.propensities(PLAN), rng) for _ in range(100)} == {0}


def test_beside_a_free_model_only_free_ones_are_drawn():
    """Any number of times nothing is nothing."""
    free = [PlanStep("a", 0.9, 0.0, 1.0), PlanStep("b", 0.9, 0.0, 1.0), PlanStep("c", 0.99, 1e-9, 1.0)]
    assert NEAR.propensities(free) == pytest.approx([0.85, 0.15, 0])


def test_every_candidate_within_the_cost_bound_gets_rows():
    """A simulated log of 3,000 prompts in which one model always seems 0.4 less likely, and is never near.

    Its rows are as many as their propensities say, and their inverse propensities count every prompt once, to four
    standard errors.
    """
    rng, usual = Random(1), Exploration(share=0.1, max_p_drop=0.1, max_cost_ratio=3.0)
    n, rows, inverse, variance = 3_000, 0, 0.0, 0.0
    for _ in range(n):
        p, cost = rng.uniform(0.6, 1), rng.uniform(0.01, 0.03)
        plan = [
            PlanStep("best", p, cost, 1.0),
            PlanStep("near", p - 0.05, cost, 1.0),
            PlanStep("far", p - 0.4, cost, 1.0),
        ]
        propensities = usual.propensities(plan)
        propensity = propensities[2]
        variance += 1 / propensity - 1
        if draw(propensities, rng) == 2:
            rows, inverse = rows + 1, inverse + 1 / propensity
    assert rows > 0
    assert abs(inverse - n) < 4 * variance**0.5


@given(steps(12), st.just(0.0) | st.floats(1e-6, 1), st.floats(0, 1), st.floats(0.1, 100), st.integers(0, 2**32))
def test_propensities_add_up_and_what_is_drawn_had_one(plan, share, drop, ratio, seed):
    exploration = Exploration(share, drop, ratio)
    propensities = exploration.propensities(plan)
    assert sum(propensities) == pytest.approx(1)
    assert min(propensities) >= 0
    assert propensities[0] >= 1 - share
    assert propensities[draw(propensities, Random(seed))] > 0
    if share > 0:
        bound = plan[0].expected_cost_usd * ratio
        drawn = [propensity > 0 for propensity in propensities[1:]]
        assert drawn == [step.expected_cost_usd <= bound for step in plan[1:]]


@given(steps(8), st.data())
def test_putting_one_first_keeps_the_others_in_order(plan, data):
    position = data.draw(st.integers(0, len(plan) - 1))
    moved = Plan.of(plan).with_first(position)
    assert moved[0] == plan[position]
    assert list(moved[1:]) == plan[:position] + plan[position + 1 :]


@given(steps(8), st.floats(0, 1), st.floats(0.01, 0.5), st.data())
def test_a_rival_has_its_share_and_the_others_keep_their_proportions(plan, share, rival_share, data):
    plan = [replace(step, model=str(i)) for i, step in enumerate(plan)]
    explored = Exploration(share, 1.0, 10.0).propensities(plan)
    plan = Plan.of(plan)
    chosen = data.draw(st.integers(0, len(plan)))  # the last one is a model that the champion does not know
    step = plan[chosen] if chosen < len(plan) else PlanStep("new", 0.5, 0.0, 1.0)
    longer, mixed = with_rival(plan, explored, Rival(step, None, rival_share))
    assert len(longer) == len(mixed)
    assert sum(mixed) == pytest.approx(1)
    if chosen == 0:
        assert mixed == explored
    else:
        assert longer[chosen] == step
        assert mixed[chosen] >= rival_share
        assert [m for i, m in enumerate(mixed) if i != chosen] == pytest.approx(
            [(1 - rival_share) * e for i, e in enumerate(explored) if i != chosen]
        )


def announced(model, p, cost=0.01, error=0.4):
    return PlanStep(model, p, cost, 100.0, level_error=error)


def test_announced_models_are_drawn_by_their_chance_to_be_best():
    """Of 395 that are expected to be 0.3 worse with an error of 0.1, and one that may be better, that one is drawn.

    Nine tenths of the draws are for announced models, 0.27 of all requests; graded ones share the rest as if no other
    were there.
    """
    crowd = [announced(f"n{i}", 0.6, error=0.1) for i in range(394)]
    plan = [PLAN[0], announced("hope", 0.9), *crowd, announced("too dear", 0.99, cost=0.031)]
    found = NEAR.propensities(plan)
    assert sum(found) == pytest.approx(1)
    assert found[1] > 0.14
    assert sum(found[2:-1]) < 0.001
    assert found[-1] == 0
    graded = NEAR.propensities([*PLAN, announced("sure", 0.999, error=0.1)])
    assert graded[1:] == pytest.approx([0.08 * 0.1, 0.08 * 0.1, 0.06 * 0.1, 0, 0.27])


def test_announced_models_are_asked_where_an_answer_tells_most():
    """Drawn with 0.27 where an answer tells what is usual, and a hundredth of it where it tells a hundredth.

    Four times the usual would make 1.08; the most is 0.5, or nine tenths of a share above that.
    """
    plan = [PLAN[0], announced("sure", 0.999, error=0.1)]

    def drawn(usual, exploration=NEAR):
        return exploration.propensities(plan, usual_information={"sure": usual})[1]

    told = 0.999 * 0.001
    assert drawn(told) == pytest.approx(0.27)
    assert drawn(100 * told) == pytest.approx(0.0027)
    assert drawn(told / 4) == pytest.approx(0.5)
    assert drawn(told / 4, replace(NEAR, share=0.8)) == pytest.approx(0.72)


def test_a_value_makes_cheaper_announced_models_worth_a_try():
    """At 0.1 USD a success, a model that costs 0.009 less may be 9 points worse."""
    plan = [PLAN[0], announced("cheap", 0.83, cost=0.001, error=0.1)]
    by_quality, by_value = NEAR.propensities(plan), NEAR.propensities(plan, value_usd=0.1)
    assert by_quality[1] < 0.001
    assert by_value[1] > 0.1


@given(
    st.lists(st.builds(announced, st.just("m"), st.floats(0, 1), st.floats(0, 0.02), st.floats(0.01, 3)), max_size=9),
    st.floats(0, 0.25),
)
def test_propensities_with_announced_models_add_up(more, usual):
    found = NEAR.propensities([*PLAN, *more], value_usd=0.5)
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0
    assert found[0] >= 1 - NEAR.share
    told = NEAR.propensities([*PLAN, *more], value_usd=0.5, usual_information={"m": usual})
    assert sum(told) == pytest.approx(1)
    assert min(told) >= 0
    assert told[0] >= 1 - NEAR.share - 0.5
