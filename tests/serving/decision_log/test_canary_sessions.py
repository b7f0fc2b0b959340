"""Sessions of a canary, read from every kind of log."""

from datetime import timedelta

import numpy as np
import pytest
from asked_log import asked, written
from log_records import BEGAN, attempt, decision, feedback

from router_model.saved.place import Challenger, Mode
from router_model.serving.decision_log.canary_sessions import canary_sessions

CANARY = Challenger("9f86", Mode.CANARY, 0.1, BEGAN)
WINDOW = timedelta(minutes=15)
LATER = BEGAN + timedelta(hours=1)


@pytest.fixture
def one_log(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/log.db"


def of_arm(n, arm="champion", **changes):
    return decision(n, **{"arm": arm, "challenger": "9f86", "canary_share": 0.1, "session_id": f"s{n}"} | changes)


def read(url, *records, now=LATER, canary=CANARY, **options):
    written(url, *records)
    return asked(url, lambda store: canary_sessions(store, canary, now=now, window=WINDOW, **options))


def columns(sessions):
    return [getattr(sessions, name).tolist() for name in ("is_canary", "failed_at", "quality", "cost_usd", "latency_s")]


def test_a_session_of_two_calls_is_one_with_the_arm_of_its_first(log_url):
    """Costs add up, 0.002 + 0.003; the slowest request took 1.25 + 4 s with its two attempts; grades 1 and 0: 1/2."""
    sessions = read(
        log_url, of_arm(0, "challenger", session_id="s"), attempt(0), feedback(0, 1.0),
        of_arm(1, "champion", session_id="s"), attempt(1, cost_usd=None), feedback(1, 0.0),
        attempt(1, attempt_id="again", latency_s=4.0, cost_usd=0.003, created_at=BEGAN + timedelta(seconds=9)),
        of_arm(2, "champion", session_id="s", key_id="k2"), attempt(2, key_id="k2"),
        attempt(2, attempt_id="cannot be", key_id="k2", cost_usd=-1.0, latency_s=-1.0),
    )  # fmt: skip
    is_canary, failed_at, quality, cost, latency = columns(sessions)
    assert is_canary == [True, False]
    assert np.isnan(failed_at).all()
    assert quality[0] == 0.5
    assert cost == pytest.approx([0.005, 0.002])
    assert latency == pytest.approx([5.25, 1.25])


def test_what_comes_after_the_window_does_not_count_and_before_its_end_nothing_is_known(one_log):
    late = BEGAN + WINDOW + timedelta(minutes=1)
    records = (
        of_arm(0, session_id="s"), attempt(0), feedback(0, 1.0), feedback(0, 0.0, feedback_id="l", created_at=late),
        of_arm(1, session_id="s", created_at=late), attempt(1, created_at=late),
    )  # fmt: skip
    _, _, quality, cost, latency = columns(read(one_log, *records))
    assert (quality, cost, latency) == ([1.0], [0.002], [1.25])
    early = read(one_log, now=BEGAN + timedelta(minutes=14))
    assert np.isnan(columns(early)[2:]).all()
    assert len(early.is_canary) == 1


def test_failures_count_at_once_unless_the_caller_or_the_service_is_to_blame(one_log):
    """The first call failed 1 + 1.25 s after it was decided, and another model answered; the last one was degraded."""
    failed = {"status": 503, "error_type": "server"}
    kinds = ("client_gone", "shutdown", "busy", "bad_request")
    sessions = read(
        one_log, of_arm(0), attempt(0, **failed), attempt(0, attempt_id="other", model="large"),
        *(of_arm(n, surface="chat") for n in range(1, 5)),
        *(attempt(n, key_id=None, status=None, error_type=kind) for n, kind in enumerate(kinds, 1)),
        of_arm(5), attempt(5, status=422), of_arm(6), attempt(6, status=500),
        of_arm(7, "challenger", degraded=True), of_arm(8), attempt(8, error_type="refused:tools"),
        now=BEGAN,
    )  # fmt: skip
    after = sessions.failed_at - BEGAN.timestamp()
    assert after[[0, 6, 7, 8]] == pytest.approx([2.25, 8.25, 7.0, 10.25])
    assert np.isnan(after[1:6]).all()


def test_only_this_canarys_decisions_count_in_their_order(one_log):
    sessions = read(
        one_log, of_arm(3, "challenger"), of_arm(1), of_arm(2, "challenger", session_id=None), decision(4),
        of_arm(5, challenger="other"), of_arm(6, canary_share=0.5), of_arm(7, created_at=BEGAN - timedelta(seconds=1)),
    )  # fmt: skip
    assert sessions.is_canary.tolist() == [False, True, True]


def test_a_log_without_calls_has_no_sessions(log_url):
    assert [len(column) for column in columns(read(log_url))] == [0] * 5


def test_sessions_of_another_router_s_canary_do_not_count(one_log):
    records = of_arm(0, "challenger"), of_arm(1, router="code"), of_arm(2, router="default")
    assert [len(read(one_log, *records, router=name).is_canary) for name in (None, "default", "code")] == [3, 2, 1]
