import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.metrics import apgr, cpt

MIXED = {"weak": 0.5, "strong": 0.9}


def test_apgr_of_a_random_mix_is_one_half():
    share = np.linspace(0, 1, 5)
    assert apgr(share, 0.5 + 0.4 * share, **MIXED) == pytest.approx(0.5)


def test_apgr_without_a_configuration_in_between_is_one_half():
    """The ends belong to every router; between them is a line."""
    assert apgr(np.array([]), np.array([]), **MIXED) == pytest.approx(0.5)


def test_apgr_may_exceed_the_strong_model():
    """At half of the calls 1.5 of the gap: (0.75 / 2) + (1.25 / 2)."""
    assert apgr(np.array([0.5]), np.array([1.1]), **MIXED) == pytest.approx(1.0)


@given(st.permutations(range(4)))
def test_the_order_of_configurations_does_not_matter(order):
    share, quality = np.array([0.1, 0.3, 0.3, 0.8]), np.array([0.6, 0.55, 0.7, 0.65])
    expected = apgr(share, quality, **MIXED), cpt(share, quality, recovered=0.4, **MIXED)
    shuffled = share[list(order)], quality[list(order)]
    assert (apgr(*shuffled, **MIXED), cpt(*shuffled, recovered=0.4, **MIXED)) == pytest.approx(expected)


def test_cpt_interpolates():
    """0 to 0.75 of the gap between shares 0 and 0.3: a half of it at 0.2; 0.8 at a fifth of the way from 0.3 to 1."""
    share, quality = np.array([0.3]), np.array([0.8])
    assert cpt(share, quality, recovered=0.5, **MIXED) == pytest.approx(0.2)
    assert cpt(share, quality, recovered=0.8, **MIXED) == pytest.approx(0.3 + 0.2 * 0.7)


def test_cpt_of_a_curve_that_falls_again_is_the_first_crossing():
    """Up to 0.75 at 0.3, down to 0.25 at 0.6, up to 1: one half is first passed at 0.2."""
    share, quality = np.array([0.6, 0.3]), np.array([0.6, 0.8])
    assert cpt(share, quality, recovered=0.5, **MIXED) == pytest.approx(0.2)


def test_cpt_of_everything_is_all_strong_calls_at_the_latest():
    assert cpt(np.array([0.5]), np.array([0.5]), recovered=1.0, **MIXED) == pytest.approx(1.0)


def test_cpt_at_shares_that_tie():
    """Two configurations at 0.4, one of them at the strong model's quality: all is recovered there."""
    assert cpt(np.array([0.4, 0.4]), np.array([0.9, 0.5]), recovered=1.0, **MIXED) == pytest.approx(0.4)


def test_models_that_are_equally_good_have_no_gap():
    arrays = np.array([0.5]), np.array([0.7])
    assert apgr(*arrays, weak=0.7, strong=0.7) is None
    assert cpt(*arrays, weak=0.7, strong=0.7, recovered=0.5) is None
