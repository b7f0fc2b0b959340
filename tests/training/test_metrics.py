import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.metrics import (
    Points,
    Singles,
    aiq,
    aiq_log,
    brier,
    calibration_error,
    cost_save,
    log_loss,
    mean_auc,
    perf_gain,
)


def points(*pairs):
    return Points(*np.array(pairs, dtype=float).T)


SINGLES = Singles(np.array([1.0, 3.0]), np.array([0.5, 0.9]))  # cheapest costs 1, best costs 3


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


def test_aiq_where_the_cheapest_is_the_best():
    singles = Singles(np.array([1.0, 3.0]), np.array([0.9, 0.5]))
    assert aiq(points((1, 0.9)), singles) == pytest.approx(0.9)
    assert aiq_log(points((1, 0.9)), singles) == pytest.approx(0.9)


def test_aiq_log_is_the_height_of_steps_over_log_cost():
    """Costs 1 to 4, a step to 0.9 at cost 2: half of the log axis at 0.5, half at 0.9."""
    singles = Singles(np.array([1.0, 4.0]), np.array([0.5, 0.9]))
    assert aiq_log(points((2, 0.9)), singles) == pytest.approx(0.7)


def test_perf_gain_and_cost_save():
    """Best 0.99 over 0.9; 0.9 first reached at cost 1.5 of 3; 95 % of it (0.855) at cost 1.2."""
    configurations = points((1.2, 0.86), (1.5, 0.9), (4, 0.99))
    assert perf_gain(configurations, SINGLES) == pytest.approx(0.1)
    assert cost_save(configurations, SINGLES) == pytest.approx(0.5)
    assert cost_save(configurations, SINGLES, share=0.95) == pytest.approx(0.6)
    assert cost_save(points((1, 0.5)), SINGLES) is None


def test_all_wrong_prompts_have_no_gain_to_divide():
    singles = Singles(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    assert singles.best == 0
    assert aiq(points((1, 0.0)), singles) == 0.0
    assert perf_gain(points((1, 0.0)), singles) is None


def test_nothing_can_be_saved_on_free_models():
    singles = Singles(np.array([0.0, 0.0]), np.array([0.5, 0.9]))
    assert cost_save(points((0, 0.9)), singles) is None
    assert aiq_log(points((0, 0.9)), singles) == pytest.approx(0.9)


def test_singles_break_ties_by_cost_and_quality():
    singles = Singles(np.array([2.0, 1.0, 1.0]), np.array([0.9, 0.9, 0.8]))
    assert (singles.best, singles.cheapest) == (1, 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_is_scikit_learns(rows):
    p, success = (np.array(column, dtype=float)[:, None] for column in zip(*rows, strict=True))
    if len(np.unique(success)) == 2:
        assert mean_auc(p, success) == pytest.approx(roc_auc_score(success.ravel(), p.ravel()))
    else:
        assert np.isnan(mean_auc(p, success))


def test_auc_is_a_mean_over_models_that_have_one():
    """The first model's order is perfect, the second's reversed, the third never fails; NaN is left out."""
    p = np.array([[0.1, 0.9, 0.5], [0.9, 0.1, 0.6], [0.5, 0.5, 0.7]])
    success = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [np.nan, np.nan, 1.0]])
    assert mean_auc(p, success) == pytest.approx(0.5)


def test_losses_hand_worked():
    p, success = np.array([[0.8, 0.5]]), np.array([[1.0, np.nan]])
    assert log_loss(p, success) == pytest.approx(-np.log(0.8))
    assert brier(p, success) == pytest.approx(0.04)
    assert log_loss(np.array([[1.0]]), np.array([[0.0]])) == pytest.approx(-np.log(1e-4))


def test_calibration_error_hand_worked():
    """Two bins of two: mean p 0.2 against rate 0.5, and 0.9 against 1: (0.3 + 0.1) / 2."""
    p = np.array([[0.1], [0.3], [0.8], [1.0]])
    success = np.array([[0.0], [1.0], [1.0], [1.0]])
    assert calibration_error(p, success, n_bins=2) == pytest.approx(0.2)
