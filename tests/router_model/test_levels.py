"""Shifted levels: what a router predicts, decides and promises while they are shifted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from simulated_world import POEM, SUM

from router_model import Reason
from router_model.levels import Levels, Shift, shifted
from router_model.policy import OperatingPoint, Rule
from router_model.prediction.uncertainty import Z

DOWN = Levels({"small": Shift(-2.0, 0.4)})


def test_a_shift_moves_one_model_and_widens_its_interval(trained):
    """The half width w in log odds becomes sqrt(w^2 + (1.645 x 0.4)^2)."""
    plain = trained.router.predict([SUM, POEM])
    table = replace(trained.router, levels=DOWN).predict([SUM, POEM])
    assert (table.p_success[:, :2] == plain.p_success[:, :2]).all()
    assert (table.p_interval[:, :2] == plain.p_interval[:, :2]).all()
    assert table.p_success[:, 2] == pytest.approx(expit(logit(plain.p_success[:, 2]) - 2))
    assert table.expected_quality[:, 2] == pytest.approx(expit(logit(plain.expected_quality[:, 2]) - 2))
    before, after = logit(plain.p_interval[:, 2]), logit(table.p_interval[:, 2])
    width = (before[:, 1] - before[:, 0]) / 2
    assert (after[:, 1] - after[:, 0]) / 2 == pytest.approx(np.hypot(width, Z * 0.4), rel=1e-4)
    assert after.mean(axis=1) == pytest.approx(before.mean(axis=1) - 2, abs=1e-3)
    assert (table.expected_cost_usd == plain.expected_cost_usd).all()


@pytest.mark.parametrize("p", [1e-9, 0.003, 0.5, 0.9999, 1.0])
def test_a_shift_can_be_undone(p):
    assert shifted(shifted(p, -4.0), 4.0) == pytest.approx(p, abs=1e-5)


def test_graded_answers_shift_their_expected_quality(graded):
    model = graded.router.models[0]
    plain = graded.router.predict([SUM])
    table = replace(graded.router, levels=Levels({model: Shift(-1.0, 0.1)})).predict([SUM])
    assert table.expected_quality[0, 0] == pytest.approx(shifted(plain.expected_quality[0, 0], -1.0))
    assert (table.expected_quality[0, 1:] == plain.expected_quality[0, 1:]).all()


def test_decisions_follow_and_carry_no_certificate(trained):
    """``small`` does sums for the least money, until its level has fallen."""
    shifted_router = replace(trained.router, levels=DOWN)
    assert trained.router.route(SUM, target_success=0.6).model == "small"
    assert shifted_router.route(SUM, target_success=0.6).model != "small"
    for certificate in trained.router.certificates:
        goal = {"target_success": certificate.target_success, "quality_bar": certificate.quality_bar}
        decision = shifted_router.route(SUM, **goal)
        if certificate.certified:
            assert trained.router.route(SUM, **goal).certificate == certificate
            assert decision.certificate is None
    assert any(certificate.certified for certificate in trained.router.certificates)


@pytest.mark.parametrize(
    ("shifts", "stays"),
    [({"small": -1.0}, True), ({"large": -1.0}, False), ({"small": 1.0}, False), ({"large": 1.0}, True)],
)
def test_the_best_single_model_goes_first_until_it_falls_or_another_rises(trained, shifts, stays):
    point = OperatingPoint(0.5, 1e-9, always_model="large")  # by value, it would be the cheapest
    router = replace(trained.router, artifact=replace(trained.router.artifact, operating_point=point))
    levels = Levels({model: Shift(by, 0.1) for model, by in shifts.items()})
    assert router.route(SUM).reason is Reason.BEST_SINGLE_MODEL
    decision = replace(router, levels=levels).route(SUM)
    assert (decision.model == "large") is stays
    assert Rule(None, None, quality_value_usd=1e-9) == levels.rule(router.rule()) or stays


def test_an_explanation_adds_up_at_shifted_levels(trained):
    decision = replace(trained.router, levels=DOWN).route(SUM, explain=True)
    explained = {one.model: one for one in (decision.explanation.chosen, decision.explanation.runner_up)}
    for step in decision.plan[:2]:
        one = explained[step.model]
        parts = one.record_log_odds + one.calibration + sum(part.log_odds for part in one.contributions)
        assert one.p_success == pytest.approx(step.p_success, abs=1e-5)
        assert parts == pytest.approx(one.log_odds, abs=1e-4)
    only = replace(trained.router, levels=Levels({m: Shift(-1.0, 0.1) for m in trained.router.models}))
    plain, moved = (router.route(SUM, explain=True).explanation.chosen for router in (trained.router, only))
    assert moved.calibration == pytest.approx(trained_calibration(trained, moved.model) - 1.0, abs=1e-5)
    assert plain.contributions  # the parts of the evidence stay
    assert moved.log_odds < plain.log_odds or moved.model != plain.model


def trained_calibration(trained, model):
    explanation = trained.router.route(SUM, explain=True).explanation
    return next(one.calibration for one in (explanation.chosen, explanation.runner_up) if one.model == model)
