"""How the drill judges what it saw; `make drill` runs it."""

from pathlib import Path

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
        times = {"struck_s": BEGAN, "broken_s": BEGAN + 0.1, "listened_s": BEGAN + 10, "well_after_s": 1.0}
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
    assert "the log has not dec_1" in broken(missing={"dec_1": -3.0})
    assert broken(fired=["RouterErrors"]) == "RouterErrors fired"
    assert broken(fired=["RouterSlowDecisions"]) == ""


def test_what_a_fault_excuses_is_no_more_than_that(broken):
    """Broken off: what was under way at 100 s. Away: what was sent until 110 s. Lost: the last second before."""
    under_way = none(99.9, ended_s=100.2)
    assert broken(under_way, breaks_off=True) == ""
    assert "got no answer" in broken(under_way)
    assert "got no answer" in broken(under_way, is_away=True)  # a graceful end answers what was under way
    assert "got no answer" in broken(none(101), breaks_off=True)
    assert broken(none(101), {"kind": "readiness", "sent_s": 109, "status": 503}, is_away=True) == ""
    assert "got no answer" in broken(none(111), is_away=True)
    assert "answered with 503" in broken({"kind": "readiness", "sent_s": 111, "status": 503}, is_away=True)
    assert broken({"sent_s": 101, "status": 502}, all_providers_down=True) == ""
    assert "answered with 502" in broken({"kind": "route", "sent_s": 101, "status": 502}, all_providers_down=True)
    assert broken(missing={"dec_1": 0.3}, lost_within_s=1.0) == ""
    assert "the log has not dec_1" in broken(missing={"dec_1": 1.5}, lost_within_s=1.0)
    assert broken(fired=["RouterDown"], may_alert=frozenset({"RouterDown"})) == ""
    assert broken(alerts=frozenset({"RouterDown"})) == "RouterDown did not fire"
