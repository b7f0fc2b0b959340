from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.prediction.calibration import Calibration
from router_model.prediction.uncertainty import Uncertainty
from router_model.training.fitting.calibrate import HeldOut
from router_model.training.fitting.uncertainty import Cells, fit_uncertainty, kinds_of, small_kinds

f32 = np.float32
MEASURED = Uncertainty(spread_alike=0.2, spread_unlike=0.8, sampling=0.0, trust_alike=0.9, trust_unlike=0.3)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_holds_the_probability_and_widens_as_trust_falls(p, trust, other):
    high, low = (np.array([value], f32) for value in (max(trust, other), min(trust, other)))
    narrow, wide = (MEASURED.interval(np.full((1, 1), p, f32), t)[0, 0] for t in (high, low))
    assert wide[0] - 1e-6 <= narrow[0] <= p + 1e-5
    assert p - 1e-5 <= narrow[1] <= wide[1] + 1e-6


def test_spreads_are_interpolated_between_the_two_kinds_of_prompts():
    trust = np.array([1.0, 0.9, 0.6, 0.3, 0.0], f32)
    assert MEASURED.spread(np.full((5, 1), 0.5, f32), trust).ravel() == pytest.approx([0.2, 0.2, 0.5, 0.8, 0.8])


def test_rare_outcomes_are_less_certain():
    """Spread 0.3 and one in 100: 0.09 + 0.01 / 0.25 and 0.09 + 0.01 / 0.0475."""
    measured = Uncertainty(0.3, 0.3, sampling=0.01, trust_alike=1.0, trust_unlike=0.0)
    found = measured.spread(np.array([[0.5, 0.05]], f32), np.ones(1, f32))
    assert found**2 == pytest.approx(np.array([[0.13, 0.09 + 0.01 / 0.0475]]), rel=1e-4)


def best_spread(cells, sampling=0.0005):
    spreads = np.geomspace(0.05, 3, 40)
    return spreads[np.argmax([cells.evidence(spread, sampling) for spread in spreads])]


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6, 1.5])
def test_a_known_spread_is_found(spread):
    """400 kinds x 3 models, 50 prompts each; deviations drawn with the spread, predictions without them."""
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(400), 50)
    odds = rng.normal(0, 0.5, (len(kinds), 3))
    truth = 1 / (1 + np.exp(-(odds + rng.normal(0, spread, (400, 3))[kinds])))
    success = (rng.random(truth.shape) < truth).astype(f32)
    p = (1 / (1 + np.exp(-odds))).astype(f32)
    assert best_spread(Cells.of(p, success, np.ones_like(p), kinds)) == pytest.approx(max(spread, 0.05), abs=0.1)


def test_a_handful_of_prompts_leans_on_the_prior():
    p = np.full((5, 2), 0.5, f32)
    success = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], f32)
    assert 0.1 < best_spread(Cells.of(p, success, np.ones_like(p), np.zeros(5, np.int64))) < 0.5


def test_unknown_outcomes_count_nothing():
    rng = np.random.default_rng(0)
    p, kinds = np.full((100, 2), 0.5, f32), np.arange(100) // 10
    success, weight = rng.integers(0, 2, (2, 100, 2)).astype(f32)
    one, other = (Cells.of(p, np.where(weight > 0, success, value), weight, kinds) for value in (0, 1))
    assert np.array_equal(one.log_likelihood, other.log_likelihood)


@pytest.mark.parametrize("most_clustered", [20_000, 150])
def test_kinds_are_small_groups_of_similar_prompts(most_clustered, monkeypatch):
    """All prompts are clustered, or some, and the others belong to the nearest cluster."""
    monkeypatch.setattr("router_model.training.fitting.uncertainty._MOST_CLUSTERED", most_clustered)
    rng = np.random.default_rng(0)
    embedding = np.repeat(np.eye(4, 8, dtype=f32), 100, axis=0) + 0.01 * rng.normal(size=(400, 8)).astype(f32)
    kinds = kinds_of(embedding, seed=0, prompts_per_kind=30)
    assert 4 <= len(set(kinds)) <= 14
    assert all(len(set(np.repeat(np.arange(4), 100)[kinds == kind])) <= 2 for kind in set(kinds))


@pytest.mark.parametrize(("n", "n_kinds"), [(150, 15), (200, 20), (1000, 20), (4000, 40)])
def test_there_are_twenty_small_kinds_or_more_but_no_tiny_ones(n, n_kinds):
    embedding = np.random.default_rng(0).normal(size=(n, 8)).astype(f32)
    assert len(set(small_kinds(embedding, seed=0))) <= n_kinds
    assert len(set(small_kinds(embedding, seed=0))) >= 0.8 * n_kinds


def held_out(rng, n, deviation, familiarity):
    """Outcomes at even odds plus a deviation that the predictions, all 0.5, do not show."""
    truth = np.broadcast_to(1 / (1 + np.exp(-deviation)), (n, 3))
    half = np.full((n, 3, 1), 0.5, f32)
    success = (rng.random((n, 3)) < truth).astype(f32)[..., None]
    return HeldOut(half, half, familiarity[:, None].astype(f32), success, np.ones_like(half))


def test_the_widest_kinds_the_level_and_familiar_prompts_give_the_uncertainty():
    """Tasks deviate by 0.8, and random kinds do not. Levels were counted on 3,000 prompts, which adds 1 / 3000.

    Trust is the sigmoid of the familiarity, from 0 to 1, so nine in ten familiar prompts have at least sigmoid(0.1).
    """
    rng = np.random.default_rng(0)
    tasks, other_kinds = np.arange(3000) // 60, rng.permutation(3000) // 60
    calibration = Calibration(np.array([[0], [1], [1], [1]], f32), np.zeros((3, 1), f32), np.array([0, 1], f32))
    familiar = held_out(rng, 3000, rng.normal(0, 0.8, (50, 3))[tasks], np.linspace(0, 1, 3000))
    strange = held_out(rng, 3000, rng.normal(0, 1.6, (50, 3))[tasks], np.full(3000, -2.0))
    found = fit_uncertainty(calibration, (familiar, (other_kinds, tasks)), (strange, tasks))
    assert found.spread_alike == pytest.approx(0.8, abs=0.15)
    assert found.spread_unlike == pytest.approx(1.6, abs=0.3)
    assert found.trust_alike == pytest.approx(1 / (1 + np.exp(-0.1)), abs=1e-3)
    assert found.trust_unlike == pytest.approx(1 / (1 + np.exp(2)), abs=1e-3)
    of_kinds = np.geomspace(0.0005, 0.1, 12)  # the values tried
    assert np.abs(found.sampling - 1 / 3000 - of_kinds).min() < 1e-9
    no_stranger = replace(strange, familiarity=np.full((3000, 1), 0.5, f32))
    found = fit_uncertainty(calibration, (familiar, (tasks,)), (no_stranger, tasks))
    assert found.trust_alike == found.trust_unlike == pytest.approx(1 / (1 + np.exp(-0.1)), abs=1e-3)


def test_equal_prompts_are_of_one_kind():
    embedding = np.repeat(np.eye(2, 8, dtype=f32), 100, axis=0)
    assert len(set(small_kinds(embedding, seed=0))) == 2
