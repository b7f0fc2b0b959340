from dataclasses import replace

import numpy as np
import pytest

from router_model.prediction.calibration import logit, sigmoid
from router_model.training.fitting.calibrate import HeldOut, fit_blend, fit_calibration
from router_model.training.metrics import log_loss

BOTH = ("a", "b")


def world(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 2, size=n)
    success = (rng.random(n) < truth).astype(np.float32)
    return rng, truth.astype(np.float32), success, np.ones(n, np.float32)


def test_the_true_member_gets_the_weight():
    rng, truth, success, weight = world()
    noise = rng.random(len(truth)).astype(np.float32)
    blend = fit_blend(("a", "b"), np.stack([noise, truth], axis=1), success, weight, favoured=BOTH)
    assert blend.weights[1] > 0.9
    assert blend.weights.sum() == pytest.approx(1)


def test_two_half_informed_members_share_and_beat_each():
    rng, _, _, weight = world()
    first, second = rng.normal(size=(2, len(weight)))
    success = (rng.random(len(weight)) < 1 / (1 + np.exp(-first - second))).astype(np.float32)
    members = (1 / (1 + np.exp(-np.stack([first, second], axis=1)))).astype(np.float32)
    blend = fit_blend(("a", "b"), members, success, weight, favoured=BOTH)
    assert blend.weights == pytest.approx([0.5, 0.5], abs=0.1)
    losses = [log_loss(members[:, [i]], success[:, None]) for i in (0, 1)]
    assert log_loss(blend.combine(members)[:, None], success[:, None]) < min(losses)


def test_rows_of_weight_zero_do_not_count():
    _, truth, success, weight = world()
    members = np.stack([1 - truth, truth], axis=1)
    wrong = np.concatenate([success, 1 - success])
    weights = np.concatenate([weight, np.zeros_like(weight)])
    blend = fit_blend(("a", "b"), np.concatenate([members, members]), wrong, weights, favoured=BOTH)
    assert blend.weights[1] > 0.9


def test_on_equal_members_the_prior_leaves_the_weight_to_the_favoured():
    """Among equal members outcomes move no weight: each step leaves 10 rows' worth of it, and the prior gives 50."""
    members, success = np.full((10, 2), 0.5, np.float32), np.ones(10, np.float32)
    assert fit_blend(("a", "b"), members, success, success, favoured={"b"}).weights == pytest.approx([0, 1])
    assert fit_blend(("a", "b"), members, success, success, favoured=BOTH).weights == pytest.approx([0.5, 0.5])


def test_a_member_that_is_not_favoured_earns_its_weight():
    """Log likelihood of weight w on a true member, 100 sure successes: 100 ln(1/2 + w/2) + 50 ln(1 - w); w = 1/3.

    The true member says 1 (clipped to 0.995), the favoured one says 0.5.
    """
    members = np.tile(np.array([[1.0, 0.5]], np.float32), (100, 1))
    blend = fit_blend(("a", "b"), members, np.ones(100, np.float32), np.ones(100, np.float32), favoured={"b"})
    assert blend.weights == pytest.approx([1 / 3, 2 / 3], abs=0.01)


RECORD = np.array([0.3, 0.5, 0.7, 0.6], np.float32)


def held_out(rng, n, *, difficulty, edge, familiarity=1.0, real_edges=True):
    """Prompts whose log odds were predicted with difficulty and edges multiplied by the numbers given."""
    hard = rng.normal(size=(n, 1))
    edges = rng.normal(size=(n, len(RECORD)))
    edges -= edges.mean(axis=1, keepdims=True)
    truth = logit(RECORD) + hard + edges * real_edges
    predicted = logit(RECORD) + difficulty * hard + edge * edges
    return HeldOut(
        p=sigmoid(predicted.astype(np.float32))[..., None],
        record=np.broadcast_to(RECORD[:, None], (n, len(RECORD), 1)),
        familiarity=np.full((n, 1), familiarity, np.float32) + rng.normal(0, 0.05, (n, 1)).astype(np.float32),
        success=(rng.random(truth.shape) < 1 / (1 + np.exp(-truth))).astype(np.float32)[..., None],
        weight=np.ones((n, len(RECORD), 1), np.float32),
    )


def test_known_distortions_are_undone():
    """The difficulty was halved and the edges doubled: slopes 2 and 0.5; familiar and unfamiliar prompts are alike."""
    rng = np.random.default_rng(0)
    alike, unlike = (held_out(rng, 8000, difficulty=0.5, edge=2.0, familiarity=f) for f in (1.0, 0.5))
    fitted = fit_calibration(alike, unlike)
    assert fitted.slopes.ravel() == pytest.approx([0, 1, 2, 0.5], abs=0.1)
    assert np.all(fitted.trust(unlike.familiarity) > 0.9)


def test_edges_that_are_noise_on_unfamiliar_prompts_lose_trust_there_alone():
    rng = np.random.default_rng(1)
    alike = held_out(rng, 4000, difficulty=1.0, edge=1.0, familiarity=1.0)
    unlike = held_out(rng, 4000, difficulty=1.0, edge=1.0, familiarity=0.3, real_edges=False)
    fitted = fit_calibration(alike, unlike)
    assert fitted.trust(unlike.familiarity).mean() < 0.1
    assert fitted.trust(alike.familiarity).mean() > 0.9


def test_noise_that_familiarity_cannot_tell_lowers_trust_everywhere():
    """Half of what looks the same is noise, so half of the edge is believed."""
    rng = np.random.default_rng(2)
    alike = held_out(rng, 4000, difficulty=1.0, edge=1.0)
    unlike = held_out(rng, 4000, difficulty=1.0, edge=1.0, real_edges=False)
    assert fit_calibration(alike, unlike).trust(alike.familiarity).mean() == pytest.approx(0.5, abs=0.1)


def test_a_target_that_never_fails_is_left_nearly_alone():
    shape = (10, 2, 1)
    p = np.full(shape, 0.8, np.float32)
    sure = HeldOut(p, np.full(shape, 0.75, np.float32), np.ones((10, 1), np.float32), np.ones_like(p), np.ones_like(p))
    corrected = fit_calibration(sure, sure).correct(p, sure.record, np.ones(10, np.float32))
    assert np.all((corrected > 0.8) & (corrected < 0.999))


def test_a_model_that_does_worse_than_its_evidence_says_is_lowered():
    """The first model's log odds are predicted 0.8 too high."""
    rng = np.random.default_rng(3)
    alike = held_out(rng, 8000, difficulty=1.0, edge=1.0)
    shifted = logit(alike.p) + np.array([0.8, 0, 0, 0], np.float32)[:, None]
    fitted = fit_calibration(replace(alike, p=sigmoid(shifted), record=alike.record), alike)
    corrected = fitted.correct(sigmoid(shifted), alike.record, fitted.trust(alike.familiarity))
    assert corrected.mean(axis=0).ravel() == pytest.approx(alike.success.mean(axis=0).ravel(), abs=0.01)


def test_the_router_abstains_where_hardly_any_trust_is_left_and_not_where_it_is_a_little_less():
    rng = np.random.default_rng(1)
    alike = held_out(rng, 4000, difficulty=1.0, edge=1.0, familiarity=1.0)
    noise = held_out(rng, 4000, difficulty=1.0, edge=1.0, familiarity=0.3, real_edges=False)
    fine = held_out(rng, 4000, difficulty=1.0, edge=1.0, familiarity=0.3)
    assert (fit_calibration(alike, noise).trust(noise.familiarity) == 0).mean() > 0.95
    assert (fit_calibration(alike, noise).trust(alike.familiarity) == 0).mean() <= 0.011
    assert (fit_calibration(alike, fine).trust(fine.familiarity) > 0).all()
