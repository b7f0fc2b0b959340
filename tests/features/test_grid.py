import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features.grid import GRID_STEPS, on_grid

pytestmark = pytest.mark.processor

steps = st.lists(st.integers(-GRID_STEPS, GRID_STEPS), min_size=1, max_size=500)


@given(steps, st.randoms())
def test_sums_of_numbers_on_a_grid_are_the_same_in_any_order(numbers, random):
    """500 numbers up to 1 stay below 2**24 steps of 2**-14."""
    values = on_grid(np.array(numbers) / GRID_STEPS)
    random.shuffle(numbers)
    shuffled = np.array(numbers, np.float32) / np.float32(GRID_STEPS)
    assert values.sum() == np.cumsum(shuffled)[-1] == sum(numbers) / GRID_STEPS


@given(
    st.lists(st.floats(-1, 1), min_size=1), st.sampled_from([2**10, GRID_STEPS]), st.sampled_from([np.float32, float])
)
def test_rounding_moves_by_half_a_step_at_most_and_only_once(numbers, steps, kind):
    values = np.array(numbers, kind)
    found = on_grid(values, steps)
    assert found.dtype == np.float32
    assert np.abs(found - values).max() <= 0.5 / steps
    assert np.array_equal(on_grid(found, steps), found)
