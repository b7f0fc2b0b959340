"""Pauses that double, and are spread."""

from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.common.backoff import backoff_s


def test_pauses_double_up_to_the_longest():
    """The longest are 0.5, 1, 2, 4, 5, 5 s; half of each is the least."""
    least = [backoff_s(n, first_s=0.5, longest_s=5.0, drawn=0.0) for n in range(6)]
    assert least == [0.25, 0.5, 1.0, 2.0, 2.5, 2.5]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_no_retry_comes_at_once(n_before, drawn):
    """Also not after days of failures, when the doubled pause would be beyond any number."""
    longest_s = 5.0 if n_before > 3 else 0.5 * 2**n_before
    pause_s = backoff_s(n_before, first_s=0.5, longest_s=5.0, drawn=drawn)
    assert longest_s / 2 <= pause_s <= longest_s
