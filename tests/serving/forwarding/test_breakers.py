from hypothesis import given
from hypothesis import strategies as st

from serving.forwarding.breakers import Breakers, BreakerState, TargetBreaker, Verdict
from serving.forwarding.rules import BreakerRules
from serving.providers.provider import Kind, Provider, Target

WORKS, FAILS, UNKNOWN = Verdict.WORKS, Verdict.FAILS, Verdict.UNKNOWN


def told(breaker, verdicts, now=0.0):
    for verdict in verdicts:
        breaker.report(verdict, is_probe=breaker.admit(now), now=now)


def opened(now=0.0, rules=None):
    breaker = TargetBreaker(rules or BreakerRules())
    told(breaker, [FAILS] * 5, now)
    return breaker


def test_five_failures_in_a_row_open_it():
    breaker = TargetBreaker(BreakerRules())
    told(breaker, [FAILS] * 4 + [UNKNOWN])
    assert breaker.state(0.0) is BreakerState.CLOSED
    told(breaker, [FAILS])
    assert breaker.state(0.0) is BreakerState.OPEN


def test_half_of_the_last_twenty_open_it():
    """19 calls with 9 failures, none of them in a row: the 20th is the 10th failure of 20."""
    breaker = TargetBreaker(BreakerRules())
    told(breaker, [WORKS, FAILS] * 9 + [WORKS])
    assert breaker.state(0.0) is BreakerState.CLOSED
    told(breaker, [FAILS])
    assert breaker.state(0.0) is BreakerState.OPEN


def test_what_is_older_than_the_window_does_not_count():
    """4 failures and 16 successes, then 4 and 5: the last 20 never hold more than 9 failures."""
    breaker = TargetBreaker(BreakerRules())
    told(breaker, [FAILS] * 4 + [WORKS] * 20 + [FAILS, FAILS, WORKS] * 4)
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_one_probe_is_let_through_after_the_pause_and_no_second_one():
    """Opened at 0 with a pause of 5 s: refused at 4.9; a probe at 5; refused while it is under way, however long."""
    breaker = opened()
    assert (breaker.is_ready(4.9), breaker.retry_in_s(4.0)) == (False, 1.0)
    assert breaker.is_ready(5.0)
    assert breaker.state(5.0) is BreakerState.HALF_OPEN
    assert breaker.admit(5.0)
    assert not breaker.is_ready(500.0)
    assert breaker.retry_in_s(500.0) == 1.0
    assert breaker.state(500.0) is BreakerState.HALF_OPEN


def test_a_probe_that_fails_doubles_the_pause_up_to_a_minute():
    """5, 10, 20, 40, 60, 60 s."""
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        pauses.append(breaker.retry_in_s(now))
        now += pauses[-1]
        told(breaker, [FAILS], now)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_a_probe_that_works_closes_it_and_counts_anew():
    breaker = opened()
    told(breaker, [WORKS], 5.0)
    told(breaker, [FAILS] * 4, 6.0)
    assert breaker.state(6.0) is BreakerState.CLOSED
    told(breaker, [FAILS], 6.0)
    assert breaker.retry_in_s(6.0) == 5.0


def test_a_probe_that_says_nothing_lets_the_next_call_probe():
    breaker = opened()
    told(breaker, [UNKNOWN], 7.0)
    assert breaker.state(7.0) is BreakerState.HALF_OPEN
    assert breaker.admit(7.0)


def test_calls_from_before_it_opened_change_nothing():
    """200 calls under way fail after the breaker has opened: the pause is still the first one."""
    breaker = TargetBreaker(BreakerRules())
    probes = [breaker.admit(0.0) for _ in range(205)]
    for is_probe in probes:
        breaker.report(FAILS, is_probe=is_probe, now=1.0)
    assert breaker.retry_in_s(1.0) == 5.0
    breaker.report(WORKS, is_probe=False, now=2.0)
    assert breaker.state(2.0) is BreakerState.OPEN


def test_states_are_by_provider_and_model():
    breakers = Breakers(BreakerRules(in_a_row=1))
    one, two = (Target("m", Provider(name, Kind.OPENAI, "http://x"), "m") for name in ("one", "two"))
    told(breakers.of(one), [FAILS])
    told(breakers.of(two), [WORKS])
    assert breakers.states(0.0) == {("one", "m"): BreakerState.OPEN, ("two", "m"): BreakerState.CLOSED}


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.floats(0, 30), st.integers(0, 3)), max_size=80))
def test_at_most_one_probe_is_under_way(events):
    """Calls overlap at random: those admitted while it is open are probes, one at a time."""
    breaker, now, running = TargetBreaker(BreakerRules(in_a_row=2)), 0.0, []
    for verdict, seconds, n_calls in events:
        now += seconds
        running += [breaker.admit(now) for _ in range(n_calls) if breaker.is_ready(now)]
        assert sum(running) <= 1
        if running:
            breaker.report(verdict, is_probe=running.pop(0), now=now)
        assert breaker.retry_in_s(now) <= 60.0
        assert breaker.is_ready(now) == (breaker.retry_in_s(now) == 0.0)
