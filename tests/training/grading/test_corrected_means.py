"""Prediction-powered means: hand-worked in the docstrings; here what their intervals promise."""

import numpy as np
import pytest
from scipy.special import expit

from router_model.training.grading.corrected_means import corrected_mean, mean_of

N_PROMPTS = 600
UNKNOWN = np.nan


def prompts(n, seed):
    """Two models on the same prompts, some of which are hard for both; about 0.73 and 0.64 succeed."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(scale=0.7, size=(n, 1))
    return (rng.random((n, 2)) < expit(np.array([1.1, 0.65]) + hard)).astype(float), rng


TRUTH = prompts(2_000_000, seed=99)[0].mean(axis=0)


def judged(quality, kind, rng):
    if kind == "noisy":  # wrong on 15 % of the answers of both models
        return np.where(rng.random(quality.shape) < 0.15, 1 - quality, quality)
    if kind == "kind to one":  # takes 10 % of the first model's failures for successes, and 70 % of the second's
        return np.where((quality == 0) & (rng.random(quality.shape) < [[0.1, 0.7]]), 1.0, quality)
    return (rng.random(quality.shape) < 0.7).astype(float)  # "guessing"


def covered(kind, n_labels, n_worlds):
    """Return how often the intervals hold the first model's mean and the difference, and their mean widths."""
    found = []
    groups = np.arange(N_PROMPTS)
    for seed in range(n_worlds):
        quality, rng = prompts(N_PROMPTS, seed)
        grades, labels = judged(quality, kind, rng), np.full_like(quality, UNKNOWN)
        chosen = rng.choice(N_PROMPTS, n_labels, replace=False)
        labels[chosen] = quality[chosen]
        first, second = (corrected_mean(grades[:, m], labels[:, m], groups, N_PROMPTS)[0] for m in (0, 1))
        alone = mean_of(labels[:, 0], groups, N_PROMPTS, added=True).interval()
        mean, difference = first.interval(), first.minus(second).interval()
        found.append((
            mean.low <= TRUTH[0] <= mean.high,
            difference.low <= TRUTH[0] - TRUTH[1] <= difference.high,
            mean.half_width,
            alone.half_width,
        ))  # fmt: skip
    return np.mean(found, axis=0)


@pytest.mark.parametrize("kind", ["noisy", "kind to one", "guessing"])
def test_intervals_hold_what_they_promise_for_every_judge(kind):
    """With 200 worlds, a coverage of 0.95 is measured to within 0.03 (two standard errors)."""
    of_mean, of_difference, width, alone = covered(kind, n_labels=60, n_worlds=200)
    assert of_mean >= 0.92
    assert of_difference >= 0.92
    # A judge that says something makes the interval narrower than the labels alone; one that guesses hardly wider.
    assert width < 0.85 * alone if kind != "guessing" else 0.95 * alone < width < 1.05 * alone


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n_labels"), [("noisy", 20), ("kind to one", 200), ("guessing", 200)])
def test_coverage_is_close_to_what_is_promised(kind, n_labels):
    """Twenty labels get wider intervals than they need, which is the price of the rule of three.

    In 600 worlds, a coverage of 0.95 has a standard error of 0.009. One of 0.90 is below 0.93 in 99 of 100 runs.
    """
    of_mean, of_difference, *_ = covered(kind, n_labels, n_worlds=600)
    most = 0.97 if n_labels == 200 else 1.0
    assert 0.93 <= of_mean <= most
    assert 0.93 <= of_difference <= most


def test_grades_as_they_are_miss_the_truth_of_a_kind_judge():
    """The second model fails on 36 % of the prompts, and 70 % of these count as successes: it looks 0.25 better."""
    quality, rng = prompts(N_PROMPTS, seed=0)
    grades = judged(quality, "kind to one", rng)
    labels = np.where(np.arange(N_PROMPTS) < 200, quality[:, 1], UNKNOWN)
    groups = np.arange(N_PROMPTS)
    taken = mean_of(grades[:, 1], groups, N_PROMPTS).interval()
    corrected = corrected_mean(grades[:, 1], labels, groups, N_PROMPTS)[0].interval()
    assert taken.low > TRUTH[1] + 0.15
    assert corrected.low < TRUTH[1] < corrected.high


def test_labels_that_all_agree_still_leave_the_rule_of_three():
    """Twenty labels of 1: the truth may be as low as 1 - 3/20, and Student's t makes it a little lower."""
    found = mean_of(np.ones(20), np.arange(20), 20, added=True).interval()
    assert found.value == 1.0
    assert 1 - found.low == pytest.approx(3 / 20, rel=0.1)


def test_the_rule_of_three_counts_conversations_and_not_their_turns():
    """A hundred labels of 1 from 12 conversations: 1.5/12 = 0.125, times Student's t of ten degrees, 2.228: 0.2785."""
    groups = np.arange(120) % 12
    alone = mean_of(np.ones(100), groups[:100], 12, added=True).interval()
    labels = np.where(np.arange(120) < 100, 1.0, UNKNOWN)
    corrected = corrected_mean(np.ones(120), labels, groups, 12)[0].interval()
    assert [alone.half_width, corrected.half_width] == pytest.approx([0.2785, 0.2785], abs=1e-4)


def test_turns_of_one_conversation_count_as_one():
    """Twenty conversations of ten equal turns: the standard error is that of 20 values, not of 200."""
    rng = np.random.default_rng(0)
    values = rng.random(20)
    repeated = mean_of(np.repeat(values, 10), np.repeat(np.arange(20), 10), 20).interval()
    once = mean_of(values, np.arange(20), 20).interval()
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))


def test_a_judge_that_says_always_the_same_changes_nothing():
    labels = np.array([1.0, 0, 1, 1, UNKNOWN, UNKNOWN])
    found, tuning = corrected_mean(np.ones(6), labels, np.arange(6), 6)
    assert (found.value, tuning) == (0.75, 0.0)
