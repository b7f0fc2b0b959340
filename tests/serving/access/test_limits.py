from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.access.limits import MINUTE_NS, DayCount, Limits, MinuteBucket, format_duration, share

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_full_bucket_has_a_minutes_worth_and_refills_evenly():
    """7 a minute: one every 60e9 / 7 = 8,571,428,571.43 ns, so the eighth fits from 8,571,428,572 ns on."""
    bucket = MinuteBucket(7)
    assert [bucket.take(0).remaining for _ in range(7)] == [6, 5, 4, 3, 2, 1, 0]
    assert not bucket.take(0).allowed
    assert not bucket.take(8_571_428_571).allowed
    assert bucket.take(8_571_428_572).allowed


def test_a_bucket_is_full_again_after_its_reset():
    """2 of 4 used: 30 s until all 4 are there again."""
    bucket = MinuteBucket(4)
    bucket.take(0)
    assert bucket.take(0).reset_s == 30
    assert [bucket.take(30 * 10**9).allowed for _ in range(5)] == [True] * 4 + [False]


def test_a_refusal_takes_nothing_and_says_when_to_come_back():
    """1 a minute: asked again after 45 s, it is 15 s too early, however often one asks."""
    bucket = MinuteBucket(1)
    bucket.take(0)
    for _ in range(3):
        standing = bucket.take(45 * 10**9)
        assert (standing.allowed, standing.retry_after_s, standing.remaining) == (False, 15, 0)
    assert bucket.take(60 * 10**9).allowed


def test_headers_are_openais():
    """3 a minute, one used: 2 left, and 20 s until the third is back."""
    assert MinuteBucket(3).take(0).headers() == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "20s",
    }


def test_retry_after_is_whole_seconds_rounded_up():
    bucket = MinuteBucket(1)
    bucket.take(0)
    assert bucket.take(59 * 10**9 - 1).headers()["retry-after"] == "2"
    assert bucket.take(60 * 10**9 - 1).headers()["retry-after"] == "1"


@given(st.integers(1, 20), st.lists(st.integers(0, 90 * 10**9), min_size=1, max_size=80).map(sorted))
def test_no_window_has_more_than_the_bucket_and_what_flowed_in(limit, moments):
    """Among requests taken from a to b, at most limit + limit (b - a) / 60 s; and one is taken whenever that allows."""
    bucket = MinuteBucket(limit)
    taken = [moment for moment in moments if bucket.take(moment).allowed]
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert (last - first + 1) * MINUTE_NS <= limit * (MINUTE_NS + taken[last] - taken[first])
    assert len(taken) >= min(limit, len(moments))


@given(st.integers(1, 10), st.lists(st.integers(0, 90 * 10**9), min_size=1, max_size=50).map(sorted))
def test_waiting_as_told_is_enough(limit, moments):
    bucket = MinuteBucket(limit)
    for moment in moments:
        standing = bucket.take(moment)
    if not standing.allowed:
        assert bucket.take(moments[-1] + round(standing.retry_after_s * 10**9) + 1).allowed


def test_feedback_is_counted_by_the_day():
    """2 a day, all used at noon: 43,200 s until midnight."""
    count = DayCount(2)
    assert [count.take(NOON).allowed for _ in range(3)] == [True, True, False]
    assert count.take(NOON).retry_after_s == 43_200
    assert not count.take(NOON + timedelta(hours=12, microseconds=-1)).allowed
    assert count.take(NOON + timedelta(hours=12)).allowed


def test_a_clock_set_back_gives_nothing_back():
    count = DayCount(1)
    count.take(NOON)
    assert not count.take(NOON - timedelta(days=1)).allowed


def test_no_feedback_at_all_can_be_allowed():
    assert not DayCount(0).take(NOON).allowed


def test_a_keys_own_limit_wins_over_the_services():
    limits = Limits(requests_per_minute=5, feedback_per_day=3, clock_ns=lambda: 0, now=lambda: NOON)
    assert limits.take_request("a", None).limit == 5
    assert limits.take_request("b", 7).limit == 7
    assert limits.take_feedback("a", None).limit == 3
    assert limits.take_feedback("b", 0).limit == 0


def test_nothing_limits_requests_by_default():
    assert Limits().take_request("a", None) is None


def test_keys_do_not_share_a_bucket():
    limits = Limits(requests_per_minute=1, clock_ns=lambda: 0)
    assert [limits.take_request(key, None).allowed for key in "abab"] == [True, True, False, False]


def test_a_changed_limit_holds_at_once():
    limits = Limits(clock_ns=lambda: 0, now=lambda: NOON)
    assert [limits.take_request("a", 1).allowed for _ in range(2)] == [True, False]
    assert limits.take_request("a", 2).remaining == 1
    assert [limits.take_feedback("a", 1).allowed for _ in range(2)] == [True, False]
    assert limits.take_feedback("a", 3).remaining == 1


@pytest.mark.parametrize(("limit", "workers", "expected"), [(100, 1, 100), (100, 3, 34), (1, 4, 1), (0, 4, 0)])
def test_each_worker_has_its_share(limit, workers, expected):
    assert share(limit, workers) == expected
    assert Limits(workers=workers, now=lambda: NOON).take_feedback("a", limit).limit == expected


def test_memory_is_bounded_by_the_keys_there_are():
    limits = Limits(requests_per_minute=1, clock_ns=lambda: 0)
    for n in range(100):
        limits.take_request(str(n), None)
        limits.take_feedback(str(n), None)
    limits.forget_others(frozenset({"7", "8"}))
    assert set(limits._requests) == set(limits._feedback) == {"7", "8"}
    assert not limits.take_request("7", None).allowed


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.999, "999ms"),
        (1, "1s"),
        (59.9996, "1m0s"),
        (61.25, "1m1.25s"),
        (86400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds, expected):
    assert format_duration(seconds) == expected
