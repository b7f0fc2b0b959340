"""The exchange alone: no network, no clock, no waiting; the test plays the transport."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.client import RateLimitError, Retries, ServerError, UnreachableError, UnreadableAnswerError
from router_model.serving.client.calls import Call
from router_model.serving.client.exchange import Got, Limits, Lost, Send, Wait, exchange

CALL = Call("GET", "/v1/models", dict)
OK = Got(200, {}, b'{"answer": 42}')


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def play(came, *, limits=None, attempt_s=0.0):
    """Run an exchange whose attempts come to `came`, one after the other; return (answer, steps)."""
    clock = Clock()
    limits = limits or Limits(2.0, 10.0, Retries(limit=2, backoff_s=0.1, draw=lambda: 1.0))
    steps, sent, came = [], None, iter(came)
    running = exchange(CALL, limits, address="http://router", clock=clock)
    while True:
        try:
            step = running.send(sent)
        except StopIteration as done:
            return done.value, steps
        steps.append(step)
        if isinstance(step, Wait):
            clock.now, sent = clock.now + step.seconds, None
        else:
            clock.now, sent = clock.now + attempt_s, next(came)


def test_first_answer_ends_it():
    assert play([OK]) == ({"answer": 42}, [Send(2.0)])


@pytest.mark.parametrize("failure", [Lost("refused"), *[Got(status, {}, b"") for status in (429, 502, 503, 504)]])
def test_what_may_be_better_in_a_moment_is_tried_again(failure):
    """Waits 0.1 x 2^0 and 0.1 x 2^1 seconds."""
    answer, steps = play([failure, failure, OK])
    assert answer == {"answer": 42}
    assert [step.seconds for step in steps if isinstance(step, Wait)] == [0.1, 0.2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_what_would_only_repeat_itself_is_not_tried_again(status):
    with pytest.raises(Exception, match=f"{status}: the service answered without saying why"):
        play([Got(status, {}, b"oops")])


def test_retry_after_is_honoured():
    _, steps = play([Got(429, {"retry-after": "3"}, b""), OK])
    assert steps[1] == Wait(3.0)


def test_retry_after_past_the_deadline_is_an_error_at_once():
    with pytest.raises(RateLimitError, match="429: slow down") as caught:
        play([Got(429, {"retry-after": "30"}, b'{"error": {"message": "slow down"}}')])
    assert caught.value.retry_after_s == 30.0


def test_attempts_end_with_the_last_failure():
    with pytest.raises(ServerError, match="503: draining"):
        play([Lost("refused"), Lost("refused"), Got(503, {}, b'{"error": {"message": "draining"}}')])
    with pytest.raises(UnreachableError, match=r"http://router did not answer \(3 attempts\): refused") as caught:
        play([Lost("refused")] * 3)
    assert caught.value.n_attempts == 3


def test_deadline_cuts_the_last_attempt_short():
    """Two attempts of 2 s and a wait of 0.1 s leave 0.9 s of 5 s, less the wait of 0.2 s."""
    limits = Limits(2.0, 5.0, Retries(limit=9, backoff_s=0.1, draw=lambda: 1.0))
    with pytest.raises(UnreachableError, match="3 attempts"):
        play([Lost("nothing within 2 s")] * 9, limits=limits, attempt_s=2.0)
    _, steps = play([Lost("slow"), Lost("slow"), OK], limits=limits, attempt_s=2.0)
    assert [step.timeout_s for step in steps if isinstance(step, Send)] == pytest.approx([2.0, 2.0, 0.7])


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (Got(200, {}, b"<html>"), "answered with '<html>'; expected a JSON object"),
        (Got(200, {}, b"[]"), r"answered with '\[\]'; expected a JSON object"),
        (Got(307, {}, b""), r"answered with a redirect \(307\); check the base URL"),
    ],
)
def test_answer_of_something_else_is_said_to_be_one(got, complaint):
    with pytest.raises(UnreadableAnswerError, match=complaint):
        play([got])


@given(
    outcomes=st.lists(st.sampled_from([OK, Lost("gone"), Got(429, {"retry-after": "1"}, b""), Got(503, {}, b"")])),
    limit=st.integers(0, 5),
    deadline_s=st.floats(0.1, 20),
    attempt_s=st.floats(0, 3),
)
def test_limits_hold_whatever_happens(outcomes, limit, deadline_s, attempt_s):
    """Never more attempts than allowed, never one or a wait begun after the deadline."""
    limits = Limits(2.0, deadline_s, Retries(limit=limit))
    sends, now = 0, 0.0
    clock = Clock()
    running = exchange(CALL, limits, address="", clock=clock)
    came = iter([*outcomes, *[OK] * 9])
    sent = None
    try:
        while True:
            step = running.send(sent)
            assert clock.now < deadline_s
            if isinstance(step, Wait):
                now, sent = step.seconds, None
            else:
                assert step.timeout_s <= max(deadline_s - clock.now, 0.001)
                sends, now, sent = sends + 1, min(attempt_s, step.timeout_s), next(came)
            clock.now += now
    except (StopIteration, RateLimitError, ServerError, UnreachableError):
        assert sends <= limit + 1


@given(st.integers(0, 60), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_jittered(n_retries, draw):
    """Between half of ``0.1 x 2^k`` and all of it, at most 2 s."""
    full = min(0.1 * 2**n_retries, 2.0)
    assert full / 2 <= Retries(draw=lambda: draw).wait_s(n_retries, None) <= full
