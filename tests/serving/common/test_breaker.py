from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.common.breaker import Breaker


def test_pauses_double_up_to_five_seconds():
    """0.25, 0.5, 1, 2, 4, 5, 5 s after failures in a row; a success starts anew."""
    breaker, now, pauses = Breaker(0.25), 0.0, []
    for _ in range(7):
        breaker.fail(now)
        pauses.append(breaker.pause_s)
        now += breaker.pause_s
        assert breaker.allows(now)
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5]
    breaker.succeed()
    breaker.fail(now)
    assert breaker.pause_s == 0.25


@given(st.lists(st.tuples(st.sampled_from(["allows", "fail", "succeed"]), st.floats(0, 3)), max_size=60))
def test_an_open_breaker_lets_at_most_one_through_a_pause(events):
    breaker, now, tried_at = Breaker(0.5), 0.0, None
    for event, step in events:
        now += step
        if event == "allows":
            was_open, allowed = breaker.is_open, breaker.allows(now)
            if was_open and allowed:
                assert tried_at is None or now - tried_at >= breaker.pause_s
                tried_at = now
            assert allowed or was_open
        elif event == "fail":
            breaker.fail(now)
        else:
            breaker.succeed()
            tried_at = None
