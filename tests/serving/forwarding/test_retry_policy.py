from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_provider import Steady

from router_model.serving.forwarding.retry_policy import Do, Step, Tried, next_step
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

RULES = Rules()
PASSING = [
    FailureKind.CONNECTION,
    FailureKind.TIMEOUT,
    FailureKind.SERVER,
    FailureKind.MALFORMED,
    FailureKind.TRUNCATED,
]


def step(kind, *, retry_after_s=None, n_attempts=1, n_here=1, n_untried=1, left_s=600.0, left_here_s=300.0):
    failure = UpstreamFailure(kind, "no", retry_after_s=retry_after_s)
    return next_step(failure, Tried(n_attempts, n_here, n_untried, left_s, left_here_s), RULES, Steady())


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_tried_twice_at_one_candidate(kind):
    """0.5 s x 0.5 = 0.25 s before the second attempt; after it, the next candidate. Silence is not tried again."""
    assert step(kind, n_untried=0) == Step(Do.AGAIN, 0.25)
    assert step(kind) == Step(Do.NEXT if kind is FailureKind.TIMEOUT else Do.AGAIN, 0.25)
    assert step(kind, n_attempts=2, n_here=2) == Step(Do.NEXT)


def test_no_candidate_is_tried_again_beyond_its_share_of_the_time():
    """0.25 s of pause, and 0.2 s of the share are left."""
    assert step(FailureKind.SERVER, left_here_s=0.2) == Step(Do.NEXT, 0.25)
    assert step(FailureKind.SERVER, left_here_s=0.2, n_untried=0) == Step(Do.AGAIN, 0.25)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FailureKind.BAD_REQUEST, Do.RAISE),
        (FailureKind.MODEL_GONE, Do.NEXT),
        (FailureKind.TOO_LONG, Do.NEXT),
        (FailureKind.KEY, Do.OTHER_KEY),
    ],
)
def test_what_does_not_pass_is_not_tried_again(kind, expected):
    assert step(kind) == Step(expected, None)


def test_a_limited_candidate_may_be_asked_later_if_that_is_in_time():
    """Retry-After 7 s + 0.5 s x 0.5 of spread = 7.25 s; with 7 s left it is not asked again."""
    assert step(FailureKind.RATE_LIMITED, retry_after_s=7.0) == Step(Do.OTHER_KEY, 7.25)
    assert step(FailureKind.RATE_LIMITED, retry_after_s=7.0, left_s=7.0) == Step(Do.OTHER_KEY, None)
    assert step(FailureKind.RATE_LIMITED, n_here=3) == Step(Do.OTHER_KEY, 1.0)


def test_a_503_that_says_when_lets_others_go_first():
    """Up to the longest backoff of 5 s it is waited for at once; beyond, the others are asked before."""
    assert step(FailureKind.SERVER, retry_after_s=2.0) == Step(Do.AGAIN, 2.25)
    assert step(FailureKind.SERVER, retry_after_s=30.0) == Step(Do.NEXT, 30.25)
    assert step(FailureKind.SERVER, retry_after_s=30.0, left_s=20.0) == Step(Do.NEXT, None)


def test_a_pause_that_does_not_fit_is_not_begun():
    assert step(FailureKind.SERVER, left_s=0.2) == Step(Do.NEXT)


def test_the_sixth_attempt_is_the_last_and_goes_to_who_was_not_tried():
    assert step(FailureKind.SERVER, n_attempts=6).do is Do.GIVE_UP
    assert step(FailureKind.KEY, n_attempts=5).do is Do.NEXT
    assert step(FailureKind.KEY, n_attempts=5, n_untried=0).do is Do.OTHER_KEY
    assert step(FailureKind.SERVER, left_s=0.0).do is Do.GIVE_UP


@given(
    st.sampled_from(FailureKind),
    st.none() | st.floats(0, 1e4),
    st.builds(Tried, st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.floats(-5, 600)),
    st.integers(0, 9),
)
def test_no_pause_is_longer_than_the_time_left(kind, retry_after_s, tried, seed):
    done = next_step(UpstreamFailure(kind, "no", retry_after_s=retry_after_s), tried, RULES, Random(seed))
    assert done.pause_s is None or 0 <= done.pause_s < tried.left_s
    assert (done.do is Do.RAISE) == (kind is FailureKind.BAD_REQUEST)
    if tried.n_attempts >= 6 or tried.left_s <= 0:
        assert done.do in {Do.GIVE_UP, Do.RAISE}
    if done.do is Do.AGAIN:
        assert tried.n_here < 2
        assert done.pause_s is not None
