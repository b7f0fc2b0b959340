import numpy as np
import pytest

from router_model.training.new_model.carry_over import Likeness, carry_over


def world(n, seed=0):
    """Five models that differ in skill and specialism; the sixth behaves like the first two together."""
    rng = np.random.default_rng(seed)
    p = np.clip(rng.normal(0.5, 0.3, size=(n, 1)) + rng.normal(0, 0.25, size=(n, 5)), 0.02, 0.98)
    return (rng.random((n, 5)) < p).astype(float), (rng.random(n) < p[:, :2].mean(axis=1)).astype(float)


def unlike(others, rows):
    """No prompt is like another."""
    rows = np.array(rows, dtype=int)
    return Likeness(np.eye(len(rows)), (np.arange(len(others))[:, None] == rows).astype(float))


def test_without_answers_a_model_is_like_the_average_one():
    others, _ = world(50)
    found = carry_over(others[:0], others[:0], np.empty(0), others, unlike(others, range(0)), level=0.6)
    assert found.values == pytest.approx(0.6 + others.mean(axis=1) - others.mean())
    assert np.isnan(found.standard_error)


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_model_that_always_does_the_same_stays_near_it(answer):
    others, _ = world(2000)
    found = carry_over(
        np.tile(others.mean(axis=0), (60, 1)),
        others[:60],
        np.full(60, answer),
        others,
        unlike(others, range(60)),
        level=0.5,
    )
    assert found.level == pytest.approx(answer, abs=0.1)


def test_the_record_is_corrected_for_easy_prompts():
    """Asked only the easier half, the raw record is far too good; the regression takes most of that back."""
    others, outcome = world(4000)
    easy = np.flatnonzero(others.mean(axis=1) >= 0.6)[:300]
    found = carry_over(others[easy], others[easy], outcome[easy], others, unlike(others, easy), level=0.5)
    raw, truth = outcome[easy].mean(), outcome.mean()
    assert raw - truth > 0.15
    assert abs(found.level - truth) < (raw - truth) / 3


def test_the_standard_error_says_how_far_records_are_off():
    """Over 100 draws of 80 prompts: the errors' spread is what is said, within a fifth, and there is no bias."""
    others, outcome = world(3000)
    rng = np.random.default_rng(1)
    draws = [rng.choice(3000, 80, replace=False) for _ in range(100)]
    found = [
        carry_over(others[rows], others[rows], outcome[rows], others, unlike(others, rows), level=0.5) for rows in draws
    ]
    error = np.array([each.level for each in found]) - outcome.mean()
    assert abs(error.mean()) < 0.02
    assert np.mean([each.standard_error for each in found]) == pytest.approx(error.std(), rel=0.2)


def test_expectations_may_stand_in_for_outcomes():
    """Errors that are independent of their expectation do not bias a linear fit (Berkson)."""
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.95, size=(4000, 3))
    others = (rng.random(p.shape) < p).astype(float)
    outcome = (rng.random(4000) < p.mean(axis=1)).astype(float)
    found = carry_over(p[:300], p[:300], outcome[:300], others, unlike(others, range(300)), level=0.5)
    assert found.level == pytest.approx(outcome.mean(), abs=0.05)
    assert np.corrcoef(found.values, p.mean(axis=1))[0, 1] > 0.5


def test_what_no_other_model_does_is_learned_from_its_own_answers():
    """Two kinds of prompts, equally hard for all others; the new model does one kind and not the other."""
    rng = np.random.default_rng(3)
    kind = rng.integers(2, size=1000)
    others = (rng.random((1000, 4)) < 0.5).astype(float)
    outcome = (rng.random(1000) < np.where(kind == 1, 0.9, 0.1)).astype(float)
    alike = (kind[:, None] == kind).astype(float)
    expected = np.full((100, 4), 0.5)
    found = carry_over(
        expected, others[:100], outcome[:100], others, Likeness(alike[:100, :100], alike[:, :100]), level=0.5
    )
    assert found.values[kind == 1].mean() == pytest.approx(0.9, abs=0.1)
    assert found.values[kind == 0].mean() == pytest.approx(0.1, abs=0.1)
