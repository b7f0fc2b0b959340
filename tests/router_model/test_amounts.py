import numpy as np
import pytest

from router_model.prediction.amounts import QUANTILES, AmountModel
from router_model.training.fitting.amounts import residual_quantiles, smearing

f32 = np.float32


def test_without_boosters_amounts_are_the_models_means():
    """log(1 + tokens) of mean log(101), smeared by 1.5: (101 - 1) * 1.5; a tenth of answers is e times shorter."""
    model = AmountModel((), np.log([101.0]).astype(f32), np.array([[-1, 0, 1]], f32), np.array([1.5], f32))
    scores = np.zeros((2, 1))
    assert model.expected(scores) == pytest.approx(np.full((2, 1), 150.0), rel=1e-4)
    assert model.quantiles(scores)[0, 0] == pytest.approx([101 / np.e - 1, 100, 101 * np.e - 1], rel=1e-4)


def test_quantiles_of_residuals_are_each_models_own_where_it_has_many():
    rng = np.random.default_rng(0)
    error = rng.normal(size=(4000, 2)) * [1.0, 3.0]
    known = np.ones(error.shape, dtype=bool)
    known[3:, 1] = False  # the second model has three answers: it leans on all
    found = residual_quantiles(error, known)
    assert found[0] == pytest.approx(np.quantile(error[:, 0], QUANTILES), abs=0.05)
    assert found[1] == pytest.approx(np.quantile(error[known], QUANTILES), abs=1.0)


def test_smearing_turns_medians_into_means():
    """Observed 0 and e - 1 where e - 1 was predicted for both: half as much."""
    predicted = np.ones((2, 1))
    observed = np.array([[0.0], [1.0]])
    assert smearing(predicted, observed, np.ones((2, 1), bool)) == pytest.approx([0.5])
    assert smearing(predicted, observed, np.zeros((2, 1), bool)) == pytest.approx([1.0])


def test_a_model_that_took_no_measurable_time_keeps_what_is_predicted():
    """Nothing but zeros was observed of the first model: its mean would be 0, which no router may say."""
    predicted, observed = np.full((4, 2), 0.1), np.column_stack([np.zeros(4), np.full(4, 0.1)])
    assert smearing(predicted, observed, np.ones((4, 2), bool)).tolist() == pytest.approx([1, 1])
