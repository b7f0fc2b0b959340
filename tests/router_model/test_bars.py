import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model import RequestError
from router_model.prediction.bars import BarGrid, succeeds
from router_model.training.table.targets import bar_grid, distinct_bars

f32 = np.float32
BARS = np.array([0.5, 0.7, 0.9], f32)
CONTINUOUS = BarGrid(BARS, low=0.2, high=1.0, stepwise=False)
STEPS = BarGrid(BARS, low=0.0, high=0.9, stepwise=True)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.lists(st.floats(0, 1), min_size=3, max_size=3), st.booleans())
def test_probabilities_never_increase_in_the_bar(bar, other, p, stepwise):
    grid = STEPS if stepwise else CONTINUOUS
    coherent = np.array([sorted(p, reverse=True)], f32)
    low, high = min(bar, other), max(bar, other)
    assert grid.at(coherent, low).item() >= grid.at(coherent, high).item() - 1e-6


@given(st.sampled_from([0.5, 0.7, 0.9]), st.booleans())
def test_learned_bars_are_answered_as_learned(bar, stepwise):
    p = np.array([0.9, 0.6, 0.1], f32)
    assert (STEPS if stepwise else CONTINUOUS).at(p, bar) == p[[0.5, 0.7, 0.9].index(bar)]


def test_everything_meets_the_least_quality_and_nothing_exceeds_the_largest():
    p = np.array([0.9, 0.6, 0.1], f32)
    assert CONTINUOUS.at(p, 0.1) == 1
    assert CONTINUOUS.at(p, 1.0) == pytest.approx(0)
    assert STEPS.at(p, 0.01) == pytest.approx(0.9)  # between 0 and 0.5 no quality lies


def test_bars_that_no_answer_reached_are_refused_with_the_remedy():
    with pytest.raises(RequestError, match="quality_bar=0.95: the best answer .* quality 0.9; ask for that or less"):
        STEPS.check(0.95)
    for bar in (0.0, -1.0, 1.01):
        with pytest.raises(RequestError, match="expected a quality above 0"):
            STEPS.check(bar)
    STEPS.check(0.9)


@pytest.mark.parametrize(
    ("quality", "bar", "met"),
    [
        pytest.param(0.7, 0.7, True, id="equal"),
        pytest.param(0.3, f32(0.3), True, id="a float32 bar above the double"),
        pytest.param(0.1 + 0.2, 0.3, True, id="a sum above"),
        pytest.param(1 - 1e-7, 1.0, True, id="rounding below"),
        pytest.param(1 - 1e-5, 1.0, False, id="a grade below"),
        pytest.param(np.nan, 0.5, False, id="unknown"),
    ],
)
def test_success_is_the_same_for_learning_deciding_and_measuring(quality, bar, met):
    assert succeeds(quality, bar) == met
    if not np.isnan(quality):
        grid = BarGrid(BARS, low=quality, high=quality, stepwise=False)
        assert (grid.at(np.zeros(3, f32), float(bar)) == 1) == met  # everything meets the least quality, if any does
        assert len(distinct_bars(np.array([[0.05, quality]]), (quality, float(bar)))) == (1 if met else 2)


def test_bars_are_learned_only_where_they_split_the_qualities():
    quality = np.linspace(0.2, 0.8, 61)[None]
    bars = bar_grid(quality, (0.2 + 1e-7, 0.5, 0.8 + 1e-7)).bars
    assert bars.min() > 0.2 + 1e-5  # everything meets the first
    assert bars.max() == f32(0.8 + 1e-7)
