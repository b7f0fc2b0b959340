"""The default rule: the cheapest setting that is shown to lose at most so much quality, else the best single model."""

import numpy as np
import pytest

from router_model.policy import best_by_value
from router_model.training.measuring.operating_point import (
    best_single_model,
    choose_operating_point,
    dr_outcomes,
    margin_of_error,
    prompt_shares,
    success_values,
)

MODELS = ("cheap", "dear")
COST = np.array([0.001, 0.002])


def choose(expected, quality, *, together=None, **settings):
    quality = np.array(quality, float)
    cost, unwritten = np.broadcast_to(COST, quality.shape), np.full(quality.shape, np.nan)
    groups = range(len(quality)) if together is None else together
    return choose_operating_point(
        np.array(expected, float), cost, quality, unwritten, MODELS, together=groups, bar=0.5, **settings
    )


def test_hand_worked():
    """Half of the prompts need the dear model: it pays from (0.002 - 0.001) / (0.9 - 0.1) = 0.00125 USD up.

    From there up routing succeeds everywhere, as the dear model does, so each difference is 0 and passes. The next
    value of the grid down sends the hard half to the cheap model and loses half of the quality.
    """
    hard = np.arange(40) % 2 == 1
    expected = np.column_stack([np.where(hard, 0.1, 0.9), np.full(40, 0.9)])
    quality = np.column_stack([~hard, np.ones(40)])
    point = choose(expected, quality)
    assert (point.quality_bar, point.always_model) == (0.5, None)
    assert 0.00125 <= point.quality_value_usd < 0.00125 * 1.15
    assert choose(expected, quality, max_quality_loss=0.9).quality_value_usd == 0.0


def test_a_loss_within_the_margin_counts_only_if_it_is_shown():
    """One prompt of 200 is lost: 0.005, and 1.653 standard errors of 0.005 more. The bound is 0.0133, above 0.01."""
    expected = np.tile([[0.9, 0.9]], (200, 1))
    expected[0] = (0.8, 0.9)
    quality = np.ones((200, 2))
    quality[0, 0] = 0.0
    assert margin_of_error(quality[:, 0], range(200)) == pytest.approx(1.6525 * 0.005, rel=1e-3)
    assert choose(expected, quality).quality_value_usd > 0.01  # the dear model where it is better
    assert choose(expected, quality, max_quality_loss=0.0133).quality_value_usd == 0.0


def test_without_a_value_that_passes_the_best_single_model_is_always_called():
    """The router believes the wrong model: at every value it is worse than the dear one."""
    point = choose([[0.9, 0.1]] * 50, [[0.0, 1.0]] * 50)
    assert point.always_model == "dear"


def test_a_reference_that_scores_one_half_everywhere_gets_no_prompt():
    """Success at the bar 0.5 favours the reference, which always meets it. Expected quality does not."""
    rng = np.random.default_rng(0)
    good = np.clip(rng.normal(0.75, 0.2, 400), 0, 1)
    quality = np.column_stack([good, np.full(400, 0.5)])
    expected = np.column_stack([np.full(400, 0.75), np.full(400, 0.5)])
    assert choose(expected, quality).quality_value_usd == 0.0


def test_turns_of_one_conversation_count_once():
    """Four losses in 400 prompts are shown to be under 2 %. In one of ten conversations, they are one event."""
    expected = np.tile([[0.8, 0.9]], (400, 1))
    quality = np.ones((400, 2))
    quality[:4, 0] = 0.0
    assert choose(expected, quality, max_quality_loss=0.02).quality_value_usd == 0.0
    together = np.repeat(range(10), 40)
    assert choose(expected, quality, together=together, max_quality_loss=0.02).quality_value_usd > 0.01


@pytest.mark.parametrize("n", [150, 600])
def test_routing_on_noise_seldom_loses_more_than_the_margin(n):
    """Predictions know nothing of the prompt; the true loss of a choice is then known exactly.

    The dear model is better by 3 points on average. At most 5 % of the choices may be worse than the model that is the
    best on the training prompts by more than the margin, plus what 200 draws leave open (2 standard errors of a share
    of 5 %: 3 %). Which model is really the best, so few prompts cannot tell.
    """
    rng = np.random.default_rng(n)
    rate = np.array([0.80, 0.83])
    wrong = 0
    for _ in range(200):
        quality = (rng.random((n, 2)) < rate).astype(float)
        expected = np.clip(quality.mean(axis=0) + rng.normal(0, 0.05, (n, 2)), 0, 1)
        point = choose(expected, quality)
        if point.always_model is None:
            fresh = np.clip(quality.mean(axis=0) + rng.normal(0, 0.05, (4000, 2)), 0, 1)
            cost, eligible = np.broadcast_to(COST, fresh.shape), np.ones(fresh.shape, bool)
            chosen = best_by_value(fresh, cost, eligible, success_value_usd=point.quality_value_usd)
            wrong += rate[quality.mean(axis=0).argmax()] - rate[chosen].mean() > 0.01 + 1e-9
    assert wrong / 200 <= 0.08


def test_the_best_single_model_of_a_partial_log_is_one_that_is_known():
    """A model with four lucky answers out of 400 is not the best one, whatever its estimated mean."""
    rng = np.random.default_rng(3)
    quality = np.column_stack([(rng.random(400) < 0.8).astype(float), np.full(400, np.nan)])
    quality[:4, 1] = 1.0
    outcomes = dr_outcomes(quality, np.full((400, 2), np.nan), np.full((400, 2), 0.8))
    assert outcomes[:, 1].mean() > outcomes[:, 0].mean()
    assert best_single_model(outcomes, np.array([400, 4]), range(400)) == 0
    assert best_single_model(np.array([[0.5, 0.6], [0.5, 0.6]]), np.array([2, 2]), [0, 1]) == 1


def test_a_prompt_counts_by_what_its_sample_says():
    """Four full evaluations, and six logged prompts with propensity 0.5. Doubly robust outcomes of these have twice the
    variance: 3 known pairs of each model, 3 * 2^2 / 6 = 2. So a logged prompt counts half as much: 1 / 14 and 1 / 7.
    """
    quality = np.full((10, 2), np.nan)
    quality[:4] = 1.0
    quality[4:7, 0] = quality[7:, 1] = 1.0
    logged, everything = np.arange(10) >= 4, np.ones((10, 2), bool)
    weight = np.where(np.isnan(quality), 0.0, np.where(logged[:, None], 2.0, 1.0))
    assert prompt_shares(everything, logged, weight) == pytest.approx([1 / 7] * 4 + [1 / 14] * 6)
    # The log knows the first model alone: 6 * 2^2 / 6 = 4, and 6 / (0 + 1) = 6 of the other; 6 / 10 against 4 / 2.
    weight[4:] = (2.0, 0.0)
    share = prompt_shares(everything, logged, weight)
    assert share[4:].sum() / share[:4].sum() == pytest.approx((6 / 10) / (4 / 2))
    assert prompt_shares(everything, np.ones(10, bool), weight) == pytest.approx([1 / 10] * 10)


def test_a_log_that_hardly_explores_does_not_undo_what_evaluations_show():
    """Two models succeed alike, on 1,000 evaluated prompts and on 1,000 logged ones; 2 % of these ask the cheap one.

    The evaluations alone show in most draws that the cheap one loses at most 5 points, and both together do as well.
    """
    rng = np.random.default_rng(7)
    alone = both = 0
    for _ in range(8):
        quality = (rng.random((2000, 2)) < 0.8).astype(float)
        cheap = rng.random(1000) < 0.02
        known = np.concatenate([np.ones((1000, 2), bool), np.column_stack([cheap, ~cheap])])
        quality, propensity = np.where(known, quality, np.nan), np.where(known, (0.02, 0.98), np.nan)
        propensity[:1000] = np.nan
        expected = np.full((2000, 2), 0.8)
        for rows in (slice(1000), slice(2000)):
            cost = np.broadcast_to(COST, expected[rows].shape)
            point = choose_operating_point(
                expected[rows], cost, quality[rows], propensity[rows], MODELS,
                together=range(rows.stop), bar=0.5, max_quality_loss=0.05,
            )  # fmt: skip
            passed = point.always_model != "dear"
            alone, both = (alone + passed, both) if rows.stop == 1000 else (alone, both + passed)
    assert alone >= 6
    assert both >= alone - 1


def test_values_span_from_the_cheapest_to_the_best_model():
    values = success_values(np.array([[0.001, 0.1]]))
    assert values[0] == 0.0
    assert (values[1], values[-1]) == (1e-5, 1e4)
    assert values == sorted(values)


@pytest.mark.parametrize("predict", [lambda p: p, lambda p: 1 - p, np.zeros_like], ids=["true", "wrong", "none"])
def test_means_and_differences_are_unbiased_whatever_is_predicted(predict):
    """Three models on 40,000 prompts; one answers each, with a propensity that depends on the prompt, as p does.

    The means and the paired difference of a rule lie within four standard errors of the truth.
    """
    rng = np.random.default_rng(5)
    hard = rng.random(40_000)
    p = np.stack([0.9 - 0.6 * hard, 0.7 - 0.1 * hard, 0.3 + 0.1 * hard], axis=1)
    propensity = np.stack([0.8 - 0.5 * hard, 0.1 + 0.4 * hard, 0.1 + 0.1 * hard], axis=1)
    drawn = (rng.random(len(p))[:, None] > np.cumsum(propensity, axis=1)).sum(axis=1)
    known = np.arange(3) == drawn[:, None]
    quality = np.where(known, rng.random(p.shape) < p, np.nan)
    error = dr_outcomes(quality, np.where(known, propensity, np.nan), predict(p)) - p
    rule, rows = np.where(hard > 0.5, 1, 0), np.arange(len(p))
    for one in [*error.T, error[rows, rule] - error[:, 0]]:
        assert abs(one.mean()) < 4 * one.std() / np.sqrt(len(one))
