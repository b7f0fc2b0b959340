import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.calibration import P_FLOOR, Blend, LogisticCalibration, logit, sigmoid

f32 = np.float32


def test_blend_is_a_weighted_mean_of_clipped_members():
    """0.25 * 0.2 + 0.75 * (1 - P_FLOOR): the second member may not be certain."""
    blend = Blend(("a", "b"), np.array([0.25, 0.75], f32))
    assert blend.combine(np.array([[0.2, 1.0]], f32)).item() == pytest.approx(0.05 + 0.75 * (1 - P_FLOOR))


def test_identity_calibration_changes_nothing():
    p = np.array([[0.9, 0.2]], f32)
    identity = LogisticCalibration(np.ones(2, f32), np.zeros(2, f32))
    assert identity.correct(p) == pytest.approx(p, abs=1e-5)


@given(
    arrays(f32, (3, 4), elements=st.floats(0, 1, width=32)),
    arrays(f32, 4, elements=st.floats(0.125, 5, width=32)),
    arrays(f32, 4, elements=st.floats(-3, 3, width=32)),
)
def test_probabilities_never_increase_in_the_bar(p, slope, intercept):
    corrected = LogisticCalibration(slope, intercept).correct(p)
    assert np.all(np.diff(corrected, axis=-1) <= 0)
    assert np.all((corrected >= 0) & (corrected <= 1))


@given(st.floats(0.001, 0.999))
def test_sigmoid_inverts_logit(p):
    assert float(sigmoid(logit(np.array(p, f32)))) == pytest.approx(p, abs=1e-4)
