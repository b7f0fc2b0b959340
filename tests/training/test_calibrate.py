import numpy as np
import pytest

from training.calibrate import fit_blend, fit_logistic
from training.metrics import log_loss


def world(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 2, size=n)
    success = (rng.random(n) < truth).astype(np.float32)
    return rng, truth.astype(np.float32), success, np.ones(n, np.float32)


def test_the_true_member_gets_the_weight():
    rng, truth, success, weight = world()
    noise = rng.random(len(truth)).astype(np.float32)
    blend = fit_blend(("noise", "truth"), np.stack([noise, truth], axis=1), success, weight)
    assert blend.weights[1] > 0.9
    assert blend.weights.sum() == pytest.approx(1)


def test_two_half_informed_members_share_and_beat_each():
    rng, _, _, weight = world()
    first, second = rng.normal(size=(2, len(weight)))
    success = (rng.random(len(weight)) < 1 / (1 + np.exp(-first - second))).astype(np.float32)
    members = (1 / (1 + np.exp(-np.stack([first, second], axis=1)))).astype(np.float32)
    blend = fit_blend(("a", "b"), members, success, weight)
    assert blend.weights == pytest.approx([0.5, 0.5], abs=0.1)
    losses = [log_loss(members[:, [i]], success[:, None]) for i in (0, 1)]
    assert log_loss(blend.combine(members)[:, None], success[:, None]) < min(losses)


def test_rows_of_weight_zero_do_not_count():
    _, truth, success, weight = world()
    members = np.stack([1 - truth, truth], axis=1)
    wrong = np.concatenate([success, 1 - success])
    weights = np.concatenate([weight, np.zeros_like(weight)])
    assert fit_blend(("a", "b"), np.concatenate([members, members]), wrong, weights).weights[1] > 0.9


def test_logistic_correction_undoes_a_known_distortion():
    """Log odds were halved and shifted by 0.3; the correction is slope 2, intercept -0.6."""
    _, truth, success, weight = world(20_000)
    odds = np.log(truth / (1 - truth))
    distorted = (1 / (1 + np.exp(-(0.5 * odds + 0.3)))).astype(np.float32)
    fitted = fit_logistic(distorted[:, None], success[:, None], weight)
    assert fitted.slope.item() == pytest.approx(2.0, abs=0.15)
    assert fitted.intercept.item() == pytest.approx(-0.6, abs=0.1)


def test_a_target_that_never_fails_is_left_nearly_alone():
    p = np.full((10, 1), 0.8, np.float32)
    corrected = fit_logistic(p, np.ones((10, 1), np.float32), np.ones(10, np.float32)).correct(p)
    assert np.all((corrected > 0.8) & (corrected < 0.999))
