import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from router_model.announced.reference import Reference, log_odds_of
from router_model.training.fitting.calibrate import fit_reference


def some_reference(seed: int = 0) -> Reference:
    """A hundred prompts of different difficulty, and three models at levels of about -1, 0 and 1."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 1.5, (100, 1))
    return Reference((difficulty + np.array([-1.0, 0.0, 1.0]) + rng.normal(0, 0.3, (100, 3))).astype(np.float32), 1.0)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=4))
def test_a_mixture_has_the_level_that_is_asked_for(levels):
    reference = some_reference()
    weights, shift = reference.mixture(np.array(levels))
    mean = expit(reference.log_odds @ weights + shift).mean(axis=0)
    assert mean == pytest.approx(expit(np.array(levels)), abs=1e-6)


def test_models_of_a_similar_level_weigh_most():
    """Of three models at -1, 0 and 1, the middle one is nearest to a level of 0."""
    weights, _ = some_reference().mixture(np.array([0.0]))
    assert weights.sum() == pytest.approx(1)
    assert weights[1, 0] > 2 * max(weights[0, 0], weights[2, 0])


def test_models_are_taken_away_and_added_at_a_level():
    reference = some_reference()
    assert reference.without(1).levels == pytest.approx(reference.levels[[0, 2]])
    assert reference.with_level(0.4).levels == pytest.approx([*reference.levels, 0.4], abs=1e-4)


def test_the_slope_is_learned_from_models_that_are_left_out():
    """Outcomes are drawn from log odds twice as steep as the predictions: the largest slope on offer is best."""
    rng = np.random.default_rng(1)
    log_odds = rng.normal(0, 1, (4000, 1)) + np.zeros(3)
    steep = (rng.random((4000, 3)) < expit(2 * log_odds)).astype(float)
    plain = (rng.random((4000, 3)) < expit(log_odds)).astype(float)
    assert fit_reference(expit(log_odds), plain).slope == pytest.approx(1.0, abs=0.11)
    assert fit_reference(expit(log_odds), steep).slope == pytest.approx(1.3)


def test_typical_prompts_have_the_mean_of_all():
    rng = np.random.default_rng(2)
    quality = expit(rng.normal(0.5, 2, (5000, 1)) + rng.normal(0, 0.3, (5000, 2)))
    chosen = fit_reference(quality, quality)
    assert len(chosen.log_odds) == 512
    assert expit(chosen.levels) == pytest.approx(quality.mean(axis=0), abs=0.01)


def test_levels_stay_inside():
    assert np.isfinite(log_odds_of([0.0, 1.0])).all()
