import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.metrics import (
    Points,
    Singles,
    aiq,
    aiq_log,
    arena_score,
    cost_save,
    pareto_distance,
    perf_gain,
    undominated,
)


def points(*pairs):
    return Points(*np.array(pairs, dtype=float).T)


SINGLES = Singles(np.array([1.0, 3.0]), np.array([0.5, 0.9]))  # cheapest costs 1, best costs 3

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10)), min_size=1, max_size=12)


def test_aiq_of_the_two_single_models_is_the_mean_of_a_line():
    """From (1, 0.5) to (3, 0.9): mean height 0.7."""
    assert aiq(points((1, 0.5), (3, 0.9)), SINGLES) == pytest.approx(0.7)


def test_aiq_uses_the_concave_hull_extended_flat():
    """Hull (1, 0.5) - (2, 0.9), then flat to 3; (1.5, 0.6) lies below it: (0.7 + 0.9) / 2."""
    assert aiq(points((2, 0.9), (1.5, 0.6)), SINGLES) == pytest.approx(0.8)


def test_aiq_of_a_router_worse_than_the_cheapest_is_the_cheapest():
    assert aiq(points((2, 0.4), (9, 0.3)), SINGLES) == pytest.approx(0.5)


def test_aiq_ignores_what_lies_beyond_the_best_models_cost():
    """Only the part of the hull up to cost 3 counts: (1, 0.5) to (5, 0.9) has height 0.6 in the middle."""
    assert aiq(points((5, 0.9)), SINGLES) == pytest.approx(0.6)


def test_aiq_counts_what_is_cheaper_than_the_cheapest_only_within_the_range():
    """Hull (0, 0.6) - (2, 1.0): at 1 it is 0.8, so 0.9 on average up to 2, then 1.0."""
    assert aiq(points((0, 0.6), (2, 1.0)), SINGLES) == pytest.approx(0.95)


def test_aiq_where_the_cheapest_is_the_best():
    singles = Singles(np.array([1.0, 3.0]), np.array([0.9, 0.5]))
    assert aiq(points((1, 0.9)), singles) == pytest.approx(0.9)
    assert aiq_log(points((1, 0.9)), singles) == pytest.approx(0.9)


def test_aiq_of_one_model_is_the_height_at_its_cost():
    """Hull (1, 0.4) - (3, 0.8); the only model costs 2, where the hull is at 0.6, and the steps still at 0.5."""
    only = Singles(np.array([2.0]), np.array([0.5]))
    assert aiq(points((1, 0.4), (3, 0.8)), only) == pytest.approx(0.6)
    assert aiq_log(points((1, 0.4), (3, 0.8)), only) == pytest.approx(0.5)


def test_aiq_takes_the_best_of_configurations_of_equal_cost():
    assert aiq(points((1, 0.9), (1, 0.2)), SINGLES) == pytest.approx(0.9)


@given(configurations=PAIRS, models=PAIRS)
def test_aiq_is_the_area_under_the_hull_built_point_by_point(configurations, models):
    router, singles = points(*configurations), Singles(*np.array(models, dtype=float).T)
    assert aiq(router, singles) == pytest.approx(plain_aiq(router, singles))


def plain_aiq(router, singles):
    """Andrew's monotone chain over the ascending points, integrated by the trapezoid rule: slow and plain."""
    low, high = singles.cost_usd[singles.cheapest], singles.cost_usd[singles.best]
    ends = low, singles.quality[singles.cheapest]
    steps = undominated(points(*zip(router.cost_usd, router.quality, strict=True), ends))
    hull = []
    for corner in zip(steps.cost_usd, steps.quality, strict=True):
        while len(hull) > 1 and not bends_right(hull[-2], hull[-1], corner):
            hull.pop()
        hull.append(corner)
    cost, quality = np.array(hull).T
    if high <= low:
        return np.interp(low, cost, quality)
    at = np.unique([low, high, *cost[(cost > low) & (cost < high)]])
    return np.trapezoid(np.interp(at, cost, quality), at) / (high - low)


def bends_right(first, second, third):
    rise, run = second[1] - first[1], second[0] - first[0]
    return rise * (third[0] - first[0]) > (third[1] - first[1]) * run


def test_aiq_log_is_the_height_of_steps_over_log_cost():
    """Costs 1 to 4, a step to 0.9 at cost 2: half of the log axis at 0.5, half at 0.9."""
    singles = Singles(np.array([1.0, 4.0]), np.array([0.5, 0.9]))
    assert aiq_log(points((2, 0.9)), singles) == pytest.approx(0.7)


def test_aiq_log_does_not_ascend_to_worse_and_dearer_configurations():
    """As above; (3, 0.2) is no step down, and (8, 1.0) is beyond the range."""
    singles = Singles(np.array([1.0, 4.0]), np.array([0.5, 0.9]))
    assert aiq_log(points((3, 0.2), (2, 0.9), (8, 1.0)), singles) == pytest.approx(0.7)


@given(configurations=PAIRS, models=PAIRS)
def test_both_heights_lie_between_the_cheapest_and_the_best_quality(configurations, models):
    router, singles = points(*configurations), Singles(*np.array(models, dtype=float).T)
    floor, ceiling = singles.quality[singles.cheapest], max(router.quality.max(), singles.quality.max())
    assert floor - 1e-9 <= aiq_log(router, singles) <= ceiling + 1e-9
    assert floor - 1e-9 <= aiq(router, singles) <= ceiling + 1e-9


def test_perf_gain_and_cost_save():
    """Best 0.99 over 0.9; 0.9 first reached at cost 1.5 of 3; 95 % of it (0.855) at cost 1.2."""
    configurations = points((1.2, 0.86), (1.5, 0.9), (4, 0.99))
    assert perf_gain(configurations, SINGLES) == pytest.approx(0.1)
    assert cost_save(configurations, SINGLES) == pytest.approx(0.5)
    assert cost_save(configurations, SINGLES, share=0.95) == pytest.approx(0.6)
    assert cost_save(points((1, 0.5)), SINGLES) is None


def test_cost_save_is_negative_where_the_quality_is_dearer():
    """The only configuration as good as the best costs 4.5 against 3."""
    assert cost_save(points((4.5, 0.9)), SINGLES) == pytest.approx(-0.5)


def test_all_wrong_prompts_have_no_gain_to_divide():
    singles = Singles(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    assert singles.best == 0
    assert aiq(points((1, 0.0)), singles) == 0.0
    assert perf_gain(points((1, 0.0)), singles) is None


def test_nothing_can_be_saved_on_free_models():
    singles = Singles(np.array([0.0, 0.0]), np.array([0.5, 0.9]))
    assert cost_save(points((0, 0.9)), singles) is None
    assert aiq_log(points((0, 0.9)), singles) == pytest.approx(0.9)


def test_a_free_cheapest_model_leaves_no_logarithmic_axis():
    """From 0 to 3: the linear mean is (0.5 + 0.9) / 2, the logarithmic one the height at 3."""
    singles = Singles(np.array([0.0, 3.0]), np.array([0.5, 0.9]))
    both = points((0, 0.5), (3, 0.9))
    assert aiq(both, singles) == pytest.approx(0.7)
    assert aiq_log(both, singles) == pytest.approx(0.9)


def test_singles_break_ties_by_cost_and_quality():
    singles = Singles(np.array([2.0, 1.0, 1.0]), np.array([0.9, 0.9, 0.8]))
    assert (singles.best, singles.cheapest) == (1, 1)


def test_undominated_drops_equals_and_worse():
    """(2, 0.6) is no better than (1, 0.6), (1, 0.5) is worse at the same cost, (3, 0.7) is better."""
    kept = undominated(points((3, 0.7), (2, 0.6), (1, 0.5), (1, 0.6)))
    assert list(zip(kept.cost_usd, kept.quality, strict=True)) == [(1, 0.6), (3, 0.7)]


def test_pareto_distance_is_scaled_and_euclidean():
    """Costs 0 to 10, qualities 0.5 to 1: (6, 0.7) is at (0.6, 0.4); nearest of (0, 0) and (0.2, 1) is (0.2, 1)."""
    frontier = points((0, 0.5), (2, 1.0), (10, 1.0))
    assert pareto_distance(points((6, 0.7)), [frontier]) == pytest.approx(np.hypot(0.4, 0.6))


def test_pareto_distance_counts_every_configuration():
    """One on the joint frontier, one 0.5 above its cost: 0.25 on average."""
    assert pareto_distance(points((1, 0.8), (2, 0.8)), [points((3, 0.8))]) == pytest.approx(0.25)


def test_pareto_distance_of_routers_that_do_the_same_is_zero():
    assert pareto_distance(points((1, 0.8)), [points((1, 0.8))]) == 0.0
    assert pareto_distance(points((1, 0.8)), []) == 0.0


@given(mine=PAIRS, others=PAIRS)
def test_pareto_distance_is_zero_exactly_on_the_joint_frontier(mine, others):
    router, rest = points(*mine), points(*others)
    joint = undominated(points(*mine, *others))
    on_it = set(mine) <= set(zip(joint.cost_usd, joint.quality, strict=True))
    assert (pareto_distance(router, [rest]) == 0) == on_it


def test_arena_score_hand_worked():
    """0.2 USD per 1,000: C = log2(1000) / log2(200 / 0.0044) = 0.64413; A = 0.7: 1.1 A C / (0.07 + C) = 0.69453."""
    assert arena_score(0.7, 0.0002) == pytest.approx(0.69453, abs=5e-5)


@pytest.mark.parametrize(
    ("accuracy", "cost_usd", "expected"),
    [(1.0, 0.0, 1.0), (1.0, 4.4e-6, 1.0), (0.9, 0.2, 0.0), (0.9, 50.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 1.0, 0.0)],
)
def test_arena_score_at_its_ends(accuracy, cost_usd, expected):
    assert arena_score(accuracy, cost_usd) == pytest.approx(expected)
