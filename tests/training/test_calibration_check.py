"""Worked by hand: 100 answers at 0.9, where 80 were good, are off by -10 points; the standard error is 3."""

import numpy as np
import pytest

from router_model.training.measuring.calibration_check import ALL_MODELS, CalibrationCheck
from router_model.training.metrics.prediction import Reliability


def curve(predicted, observed, n):
    return Reliability(np.array(predicted), np.array(observed), np.array(n))


def test_a_model_that_is_off_is_named_with_its_interval():
    one = curve([0.9], [0.8], [100])
    check = CalibrationCheck({ALL_MODELS: one, "m": one})
    off, half = check.off["m"]
    assert off == pytest.approx(-0.1)
    assert half == pytest.approx(1.96 * 0.03, abs=1e-4)
    assert check.summary().head == "Of 1 models, the probabilities of 1 are off: m by -10.0 ± 5.9 points"
    assert check.summary().rows[1] == ("m", "100", "0.900", "0.800", "-10.0 ± 5.9", "10.0", "2.4")


def test_many_models_are_compared_at_once():
    """Two models share the error rate: 2.24 standard errors instead of 1.96; 6.5 points are within 6.7."""
    fine, off = curve([0.9], [0.9], [100]), curve([0.9], [0.835], [100])
    assert "probabilities of 1 are off" in CalibrationCheck({"m": off}).summary().head
    assert "all 2 models hold" in CalibrationCheck({"m": off, "other": fine}).summary().head


def test_right_probabilities_are_seldom_called_off():
    """3 models, 200 tables: about 5 % of the tables may be called off, and are by this seed."""
    rng, n_off = np.random.default_rng(0), 0
    for _ in range(200):
        curves = {}
        for model in "abc":
            p = rng.uniform(0.5, 1, 15)
            curves[model] = curve(p, rng.binomial(40, p) / 40, [40] * 15)
        n_off += "are off" in CalibrationCheck(curves).summary().head
    assert n_off <= 20


def test_nothing_known_cannot_be_drawn():
    with pytest.raises(ValueError, match="no outcome is known"):
        CalibrationCheck({}).plot()
