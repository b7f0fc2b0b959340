"""Whether today's prompts differ from those of before: no false alarm beyond the level, and a shift is seen."""

import numpy as np
import pytest

from router_model.training.drift.traffic import stability_index, two_sample_test


def test_four_vectors_each_that_one_number_separates():
    before, after = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[10.0], [11.0], [12.0], [13.0]])
    shift = two_sample_test(before, after, n_permutations=99)
    # Two and two are tested. All of the new ones rank higher in 1 of 6 orders, so p is about 1/6 and never below it.
    assert shift.effect == 0.5
    assert 0.1 < shift.p_value < 0.3
    assert (shift.n_before, shift.n_after) == (4, 4)


def test_equal_vectors_are_no_shift():
    same = two_sample_test(np.ones((50, 3)), np.ones((60, 3)))
    assert (same.effect, same.p_value) == (0.0, 1.0)


def test_too_few_vectors_are_named():
    with pytest.raises(ValueError, match="got 3 and 40 vectors; expected 4 or more of each"):
        two_sample_test(np.ones((3, 2)), np.ones((40, 2)))


def test_p_values_are_uniform_where_nothing_changed():
    rng = np.random.default_rng(1)
    draws = [rng.standard_t(3, size=(120, 6)) for _ in range(400)]
    p = [
        two_sample_test(before, after, n_permutations=99, seed=seed).p_value
        for seed, (before, after) in enumerate(zip(draws[::2], draws[1::2], strict=True))
    ]
    # 200 tests at 5 %: 10 alarms expected, and 18 or more come in 1 of 100 such runs.
    assert sum(value <= 0.05 for value in p) < 18
    assert 0.4 < np.mean(p) < 0.6


@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0.0, 0.1), (0.5, 0.1, 0.3), (1.0, 0.5, 1.5)])
def test_the_stability_index_grows_with_the_shift(shift, least, most):
    rng = np.random.default_rng(0)
    assert least <= stability_index(rng.normal(size=2000), rng.normal(size=2000) + shift) <= most


def test_the_stability_index_by_hand():
    # The tenths of the values before are 0 and 1. So the bins are "0 or less", "1 or less" and "more".
    before, after = np.repeat([0.0, 1.0], 500), np.repeat([0.0, 1.0], [250, 750])
    p, q = np.array([500.5, 500.5, 0.5]) / 1001.5, np.array([250.5, 750.5, 0.5]) / 1001.5
    assert stability_index(before, after) == pytest.approx(((q - p) * np.log(q / p)).sum())
