"""How the drill judges what it saw; `make drill` runs it."""

import contextlib
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

DRILL = Path(__file__).parents[1] / "drill"
BEGAN = 100.0


@pytest.fixture
def broken(monkeypatch):
    """Return what judges a fault that was struck at 100 s and over, with the service ready, at 110 s."""
    monkeypatch.syspath_prepend(DRILL)
    from faults import Fault
    from load import Answer
    from row import Row

    def judge(*answers, fired=(), missing=None, **promised):
        asked = [Answer(**{"kind": "chat", "is_whole": True, "ended_s": one["sent_s"] + 0.5} | one) for one in answers]
        times = {"struck_s": BEGAN, "broken_s": BEGAN + 5, "listened_s": BEGAN + 10, "well_after_s": 1.0}
        row = Row(Fault("it", None, **promised), answers=asked, alerts=frozenset(fired), missing=missing or {}, **times)
        return " / ".join(row.broken())

    return judge


def none(sent_s, **more):
    return {"sent_s": sent_s, "status": 0, "is_whole": False} | more


def test_every_promise_can_be_broken(broken):
    assert broken({"sent_s": 101, "status": 200}) == ""
    assert "answered with 503" in broken({"sent_s": 101, "status": 503})
    assert "chat got no answer, 1.00 s" in broken(none(101))
    assert "chat got no answer" in broken({"sent_s": 101, "status": 200, "is_whole": False})  # a stream that was cut
    assert "the log has not dec_1, answered 3.00 s after" in broken(missing={"dec_1": 103.0})
    assert broken(fired=["RouterErrors"]) == "RouterErrors fired"
    assert broken(fired=["RouterSlowDecisions", "RouterDown"]) == ""


def test_what_a_fault_excuses_is_no_more_than_that(broken):
    """Broken off: what was under way from 100 to 105 s. Away: what was sent until 110 s. Lost: from 99 to 106 s.

    A worker that is stopped at 100 s, and is killed at 105 s, has not written what it answered before it was stopped.
    """
    under_way = none(99.9, ended_s=100.2)
    assert broken(under_way, breaks_off=True) == ""
    assert "got no answer" in broken(under_way)
    assert "got no answer" in broken(under_way, is_away=True)  # a graceful end answers what was under way
    assert "got no answer" in broken(none(105.1), breaks_off=True)
    assert broken(none(101), {"kind": "readiness", "sent_s": 109, "status": 503}, is_away=True) == ""
    assert "got no answer" in broken(none(111), is_away=True)
    assert "answered with 503" in broken({"kind": "readiness", "sent_s": 111, "status": 503}, is_away=True)
    assert broken({"sent_s": 101, "status": 502}, all_providers_down=True) == ""
    assert "answered with 502" in broken({"kind": "route", "sent_s": 101, "status": 502}, all_providers_down=True)
    assert "answered with 502" in broken({"sent_s": 99, "status": 502}, all_providers_down=True)
    assert broken(missing={"a": 99.1, "b": 103.0, "c": 105.9}, lost_within_s=1.0) == ""
    assert broken(missing={"a": 98.9, "b": 106.1}, lost_within_s=1.0).count("the log has not") == 2
    assert broken(fired=["RouterErrors"], may_alert=frozenset({"RouterErrors"})) == ""
    assert broken(alerts=frozenset({"RouterDown"})) == "RouterDown did not fire"


@contextlib.contextmanager
def fails(_):
    raise AssertionError("it cannot be broken")
    yield


@pytest.mark.usefixtures("broken")
def test_each_answer_is_judged_once_and_a_fault_that_cannot_be_struck_is_broken():
    """One answer is there before the fault, one comes after its row; Prometheus says nothing, nor does the log."""
    from drill import Drill
    from faults import Fault
    from load import Answer, Load
    from prometheus_server import Prometheus

    load = Load("http://127.0.0.1:9", [], [Answer("chat", 0.0, 40.0, 200, is_whole=True, decision_id="dec_1")])
    silent = Prometheus("http://127.0.0.1:9")
    stack = SimpleNamespace(scraping=silent, attempts=refuses, missing=lambda decisions: decisions - {"dec_1"})
    drill = Drill(stack, load)
    row = drill.row(Fault("it", fails))
    load.answers.append(Answer("route", 50.0, 50.1, 500, is_whole=True, decision_id="dec_1"))
    slow = "chat took 40.0 s: the log cannot be read (ConnectionRefusedError)"
    assert row.broken() == ["it cannot be broken", slow, "all was not well again"]
    assert (len(row.answers), math.isinf(row.well_after_s)) == (1, True)
    json.dumps(row.as_json(), allow_nan=False)
    assert drill.rest() == ["route was answered with 500 (request ): "]


def refuses(_):
    raise ConnectionRefusedError
