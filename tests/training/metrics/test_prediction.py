import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from router_model.training.metrics import (
    auc_by_model,
    brier,
    calibration_error,
    excess_calibration_error,
    log_loss,
    log_loss_by_task,
    mean_auc,
    median_percentage_error,
    reliability_curve,
)
from router_model.training.metrics.prediction import weighted_auc

ROWS = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)


@given(ROWS)
def test_auc_is_scikit_learns(rows):
    p, success, _ = (np.array(column, dtype=float)[:, None] for column in zip(*rows, strict=True))
    if len(np.unique(success)) == 2:
        assert mean_auc(p, success) == pytest.approx(roc_auc_score(success.ravel(), p.ravel()))
    else:
        assert np.isnan(mean_auc(p, success))


@given(ROWS)
def test_weighted_auc_is_that_of_prompts_repeated(rows):
    p, success, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    times = weight.astype(int)
    expected = mean_auc(np.repeat(p, times)[:, None], np.repeat(success, times)[:, None])
    assert weighted_auc(p, success, weight[None])[0] == pytest.approx(expected, nan_ok=True)


def test_weighted_auc_hand_worked():
    """Successes at 0.7 (weight 2) and 0.4; failures at 0.4 (weight 3) and 0.2: 2 x 4 + 1 x (1 + 3 / 2) of 3 x 4."""
    p, success = np.array([0.7, 0.4, 0.4, 0.2]), np.array([1.0, 1.0, 0.0, 0.0])
    assert weighted_auc(p, success, np.array([[2.0, 1.0, 3.0, 1.0]]))[0] == pytest.approx(10.5 / 12)


def test_auc_is_a_mean_over_models_that_have_one():
    """The first model's order is perfect, the second's reversed, the third never fails; NaN is left out."""
    p = np.array([[0.1, 0.9, 0.5], [0.9, 0.1, 0.6], [0.5, 0.5, 0.7]])
    success = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [np.nan, np.nan, 1.0]])
    assert auc_by_model(p, success) == pytest.approx([1.0, 0.0, np.nan], nan_ok=True)
    assert mean_auc(p, success) == pytest.approx(0.5)


def test_auc_of_one_probability_for_all_is_one_half():
    assert mean_auc(np.full((3, 1), 0.4), np.array([[0.0], [1.0], [1.0]])) == 0.5


def test_losses_hand_worked():
    p, success = np.array([[0.8, 0.5]]), np.array([[1.0, np.nan]])
    assert log_loss(p, success) == pytest.approx(-np.log(0.8))
    assert brier(p, success) == pytest.approx(0.04)
    assert log_loss(np.array([[1.0]]), np.array([[0.0]])) == pytest.approx(-np.log(1e-4))


def test_losses_without_outcomes_are_nan():
    assert np.isnan(log_loss(np.array([[0.8]]), np.array([[np.nan]])))
    assert np.isnan(brier(np.array([[0.8]]), np.array([[np.nan]])))


def test_log_loss_by_task_hand_worked():
    """Two prompts of "a", one of "b", one without a task, which is left out."""
    p, success = np.array([[0.8], [0.5], [0.1], [0.9]]), np.array([[1.0], [0.0], [0.0], [0.0]])
    found = log_loss_by_task(p, success, ["a", "a", "b", ""])
    assert found == pytest.approx({"a": -(np.log(0.8) + np.log(0.5)) / 2, "b": -np.log(0.9)})


def test_calibration_error_hand_worked():
    """Two bins of two: mean p 0.2 against rate 0.5, and 0.9 against 1: (0.3 + 0.1) / 2."""
    p = np.array([[0.1], [0.3], [0.8], [1.0]])
    success = np.array([[0.0], [1.0], [1.0], [1.0]])
    assert calibration_error(p, success, n_bins=2) == pytest.approx(0.2)


def test_reliability_curve_of_fewer_outcomes_than_bins_has_one_bin_each():
    curve = reliability_curve(np.array([0.9, 0.2, 0.5]), np.array([1.0, np.nan, 0.0]), n_bins=15)
    assert [each.tolist() for each in curve] == [[0.5, 0.9], [0.0, 1.0], [1, 1]]


def test_reliability_curve_of_uneven_bins():
    """Five outcomes in two bins: three, then two."""
    curve = reliability_curve(np.array([0.1, 0.2, 0.3, 0.6, 0.8]), np.array([0.0, 0.0, 1.0, 1.0, 0.0]), n_bins=2)
    assert curve.n.tolist() == [3, 2]
    assert curve.predicted == pytest.approx([0.2, 0.7])
    assert curve.observed == pytest.approx([1 / 3, 0.5])


def test_reliability_curve_needs_an_outcome():
    with pytest.raises(ValueError, match="all 2 outcomes are unknown"):
        reliability_curve(np.array([0.9, 0.2]), np.array([np.nan, np.nan]))


def test_excess_calibration_error_is_near_zero_for_true_probabilities_and_not_for_others():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 1))
    success = (rng.random(p.shape) < p).astype(float)
    assert abs(excess_calibration_error(p, success)) < 0.01
    assert excess_calibration_error(np.clip(p + 0.1, 0, 1), success) > 0.05


def test_median_percentage_error_hand_worked():
    """Errors 0.5, 0.1 and 2; what is 0 or unknown is left out."""
    predicted, actual = np.array([[1.0, 0.9], [3.0, 7.0]]), np.array([[2.0, 1.0], [1.0, 0.0]])
    assert median_percentage_error(predicted, actual) == pytest.approx(0.5)
    assert np.isnan(median_percentage_error(np.array([1.0, 1.0]), np.array([0.0, np.nan])))
