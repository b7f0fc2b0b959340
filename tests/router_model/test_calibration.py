from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.prediction.calibration import P_FLOOR, Blend, Calibration, logit, sigmoid, split_logit

f32 = np.float32


def test_blend_is_a_weighted_mean_of_clipped_members():
    """0.25 * 0.2 + 0.75 * (1 - P_FLOOR): the second member may not be certain."""
    blend = Blend(("a", "b"), np.array([0.25, 0.75], f32))
    assert blend.combine(np.array([[0.2, 1.0]], f32)).item() == pytest.approx(0.05 + 0.75 * (1 - P_FLOOR))


def calibration(n_bars, *, edge=1.0, trust=(20.0, 0.0)):
    ones = np.ones(n_bars, f32)
    slopes = np.stack([0 * ones, ones, ones, edge * ones])
    return Calibration(slopes, np.zeros((2, n_bars), f32), np.array(trust, f32))


def test_parts_add_up_and_edges_cancel():
    """Records 0.5 and 0.5, log odds 3 and 1: the prompt is easier by 2, the edges are 1 and -1."""
    parts = split_logit(sigmoid(np.array([[[3.0], [1.0]]], f32)), np.full((1, 2, 1), 0.5, f32))
    assert parts.difficulty.ravel() == pytest.approx([2.0], abs=1e-4)
    assert parts.edge.ravel() == pytest.approx([1.0, -1.0], abs=1e-4)


def test_identity_calibration_changes_nothing():
    p = np.array([[[0.9, 0.2], [0.7, 0.1]]], f32)
    found = calibration(2).correct(p, np.full((1, 2, 2), 0.6, f32), np.ones(1, f32))
    assert found == pytest.approx(p, abs=1e-4)


def test_without_trust_models_keep_the_order_and_the_distance_of_their_records():
    """Log odds of the records differ by 1.5; so do those of the probabilities, whatever the edges say."""
    record = sigmoid(np.array([[[0.0], [1.5]]], f32))
    p = np.array([[[0.9], [0.2]]], f32)
    found = calibration(1).correct(p, record, np.zeros(1, f32))
    low, high = logit(found).ravel()
    assert high - low == pytest.approx(1.5, abs=1e-3)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 5), st.floats(-5, 5))
def test_trust_never_falls_with_familiarity(familiarity, other, weight, start):
    found = calibration(1, trust=(start, weight)).trust(
        np.array([[min(familiarity, other)], [max(familiarity, other)]], f32)
    )
    assert 0 <= found[0] <= found[1] <= 1


def test_trust_halves_with_every_factor_of_ten_beyond_the_longest_logged_prompt():
    """Logged prompts have up to 99 characters. The trust is a half; at 999 a quarter, below 0.2 none.

    A router of before 0.2 does not know its longest prompt, so no length lowers its trust.
    """
    lengths = np.log1p([0, 99, 999, 9_999, 9_999_999]).astype(f32)
    even = replace(calibration(1, trust=(0.0, 0.0)), longest_log_chars=float(lengths[1]))
    familiarity = np.ones((5, 1), f32)
    assert even.trust(familiarity, lengths) == pytest.approx([0.5, 0.5, 0.25, 0.125, 0.5**6])
    assert replace(even, trust_floor=0.2).trust(familiarity, lengths) == pytest.approx([0.5, 0.5, 0.25, 0, 0])
    assert (replace(even, longest_log_chars=None).trust(familiarity, lengths) == 0.5).all()


@given(
    arrays(f32, (3, 2, 4), elements=st.floats(0, 1, width=32)),
    arrays(f32, 4, elements=st.floats(0.125, 5, width=32)),
    arrays(f32, 4, elements=st.floats(-3, 3, width=32)),
)
def test_probabilities_never_increase_in_the_bar(p, slope, intercept):
    stretched = Calibration(
        np.stack([intercept, slope, slope[::-1], slope]), np.zeros((2, 4), f32), np.array([0.0, 1.0], f32)
    )
    corrected = stretched.correct(p, np.full(p.shape, 0.5, f32), np.ones(3, f32))
    assert np.all(np.diff(corrected, axis=-1) <= 0)
    assert np.all((corrected >= 0) & (corrected <= 1))


@given(st.floats(0.001, 0.999))
def test_sigmoid_inverts_logit(p):
    assert float(sigmoid(logit(np.array(p, f32)))) == pytest.approx(p, abs=1e-4)
