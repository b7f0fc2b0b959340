import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.providers.health import (
    LIMITS,
    PROBE_S,
    REFUSALS,
    Health,
    HealthRules,
    HealthState,
    HealthTable,
    Verdict,
)

WORKS, FAILS, UNKNOWN = Verdict.WORKS, Verdict.FAILS, Verdict.UNKNOWN
CALLERS = ("ann", "bob", "cyd")


def told(health, verdicts, caller="ann", now=0.0, **given):
    for verdict in verdicts:
        health.report(verdict, caller, is_probe=health.admit(caller, now), now=now, **given)


def put_aside(now=0.0, rules=None):
    """What several callers have seen fail."""
    health = Health(rules or HealthRules())
    told(health, [FAILS] * 3, "ann", now)
    told(health, [FAILS] * 2, "bob", now)
    return health


def ready(health, now):
    return [caller for caller in CALLERS if health.is_ready(caller, now)]


def test_five_failures_in_a_row_put_it_aside_for_the_caller_that_saw_them():
    health = Health(HealthRules())
    told(health, [FAILS] * 4 + [UNKNOWN])
    assert ready(health, 0.0) == ["ann", "bob", "cyd"]
    told(health, [FAILS])
    assert (ready(health, 0.0), health.put_aside_for()) == (["bob", "cyd"], ("ann",))
    told(health, [FAILS] * 50)
    assert ready(health, 1.0) == ["bob", "cyd"]


def test_failures_of_several_callers_put_it_aside_for_everybody():
    """3 of ann's count, however many there are; with 2 of bob's that is five."""
    health = Health(HealthRules())
    told(health, [FAILS] * 4)
    told(health, [FAILS], "bob")
    assert ready(health, 0.0) == ["ann", "bob", "cyd"]
    told(health, [FAILS], "bob")
    assert (ready(health, 0.0), health.put_aside_for()) == ([], None)


def test_a_success_of_anybody_takes_the_signs_back():
    health = Health(HealthRules())
    told(health, [FAILS] * 4)
    told(health, [WORKS], "bob")
    told(health, [FAILS] * 4)
    assert ready(health, 0.0) == ["ann", "bob", "cyd"]


@pytest.mark.parametrize(("callers", "aside"), [(["ann"], ["ann"]), (["ann", "bob"], ["ann", "bob", "cyd"])])
def test_half_of_the_last_twenty_put_it_aside(callers, aside):
    """20 calls, failures and successes in turn: the 20th is the 10th failure. Of one caller's for that one alone."""
    health = Health(HealthRules())
    for n in range(19):
        told(health, [WORKS if n % 2 else FAILS], callers[n // 2 % len(callers)])
    assert ready(health, 0.0) == ["ann", "bob", "cyd"]
    told(health, [FAILS], callers[-1])
    assert [caller for caller in CALLERS if not health.is_ready(caller, 0.0)] == aside


def test_what_is_older_than_the_window_does_not_count():
    """4 failures and 20 successes, then 8 failures and 4 successes: the last 20 never hold 10 failures."""
    health = Health(HealthRules())
    told(health, [FAILS] * 4 + [WORKS] * 20 + [FAILS, FAILS, WORKS] * 4)
    assert not health.is_open


def test_one_refusal_of_a_key_is_a_sign_and_anothers_confirms_it():
    health = Health(REFUSALS)
    told(health, [FAILS])
    assert (health.is_suspected, ready(health, 0.0)) == (True, ["ann", "bob", "cyd"])
    told(health, [FAILS], "bob")
    assert (health.is_suspected, ready(health, 0.0)) == (False, [])


def test_refusals_that_one_caller_sees_are_nobody_elses():
    """Whatever a caller sends: it cannot supply both signs."""
    health = Health(REFUSALS)
    told(health, [FAILS] * 100)
    assert ready(health, 0.0) == ["bob", "cyd"]


def test_pauses_of_a_key_grow_from_seconds_to_minutes():
    """5, 10, 20, 40, 80, 160, 300, 300 s."""
    health, now, pauses = Health(REFUSALS), 0.0, []
    told(health, [FAILS] * 2)
    for _ in range(8):
        pauses.append(health.retry_at("ann", now) - now)
        now += pauses[-1]
        told(health, [FAILS], now=now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    ("told_s", "pause_s"), [(20.0, 20.0), (999_999.0, 300.0), (2e9, 300.0), (-4.0, 0.0), (None, 1.0)]
)
def test_a_limit_is_kept_to_for_five_minutes_at_most(told_s, pause_s):
    health = Health(LIMITS)
    told(health, [FAILS], now=100.0, pause_s=told_s)
    assert health.retry_at("ann", 100.0) == 100.0 + pause_s
    assert health.is_ready("ann", 100.0 + pause_s)


def test_the_longest_of_the_pauses_that_calls_at_once_were_told_counts():
    health = Health(LIMITS)
    for told_s in (5.0, 30.0, 8.0):
        health.report(FAILS, "ann", is_probe=False, now=0.0, pause_s=told_s)
    assert health.retry_at("ann", 0.0) == 30.0


def test_one_probe_is_let_through_after_the_pause():
    """Put aside at 0 for 5 s: nobody at 4.9; one at 5. The next one when that is over, or has taken a minute."""
    health = put_aside()
    assert (ready(health, 4.9), ready(health, 5.0), health.state(5.0)) == ([], list(CALLERS), HealthState.HALF_OPEN)
    assert health.admit("ann", 5.0)
    assert (ready(health, 5.0 + PROBE_S - 0.1), health.state(30.0)) == ([], HealthState.HALF_OPEN)
    assert ready(health, 5.0 + PROBE_S) == list(CALLERS)


def test_a_probe_that_works_ends_it_for_everybody():
    health = put_aside()
    told(health, [WORKS], now=5.0)
    assert (ready(health, 5.0), health.state(5.0)) == (list(CALLERS), HealthState.CLOSED)
    told(health, [FAILS] * 4, now=6.0)
    assert not health.is_open


def test_who_saw_a_probe_fail_waits_twice_as_long_as_the_others():
    """ann's probe at 5 s fails: the others may probe at 15 s, ann at 25 s."""
    health = put_aside()
    told(health, [FAILS], now=5.0)
    assert (ready(health, 14.9), ready(health, 15.0), ready(health, 25.0)) == ([], ["bob", "cyd"], list(CALLERS))


def test_a_probe_that_says_nothing_lets_the_next_call_probe():
    health = put_aside()
    told(health, [UNKNOWN], now=7.0)
    assert health.admit("ann", 7.0)


def test_a_call_that_came_before_its_time_does_not_lengthen_the_pause():
    """Put aside for 5 s, asked at 1 s as nobody else was left, in vain: 5 s from then, and not 10."""
    health = put_aside()
    told(health, [FAILS], "cyd", now=1.0)
    assert health.retry_at("ann", 1.0) == 6.0


def test_calls_from_before_change_nothing():
    """200 calls under way fail after it was put aside: the pause is still the first one. Nor does one that works."""
    health = put_aside(now=1.0)
    for _ in range(200):
        health.report(FAILS, "cyd", is_probe=False, now=2.0)
    health.report(WORKS, "cyd", is_probe=False, now=2.0)
    assert health.retry_at("cyd", 2.0) == 6.0


def test_the_table_forgets_those_that_nothing_is_amiss_with_first():
    """Of four at most, c and d are blank and make room; of four that fail, the one looked at longest ago does."""
    table = HealthTable(HealthRules(), most=4)
    for name in "ab":
        told(table.of(name), [FAILS], "ann", 1.0)
    table.of("c"), table.of("d"), table.of("e")
    assert [name for name, _ in table.items()] == ["a", "b", "e"]
    for name in "aefg":
        told(table.of(name), [FAILS], "ann", 1.0)
    assert [name for name, _ in table.items()] == ["a", "e", "f", "g"]


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from(CALLERS), st.floats(0, 30)), max_size=80))
def test_no_caller_is_ever_put_off_by_what_one_other_saw(events):
    """ann sees whatever she likes; bob and cyd are never put aside, and no pause is longer than five minutes."""
    health, now = Health(HealthRules(in_a_row=2, window=4)), 0.0
    for verdict, caller, seconds in events:
        now += seconds
        told(health, [verdict if caller == "ann" else UNKNOWN], caller, now)
        assert health.is_ready("bob", now)
        assert health.retry_at("ann", now) <= now + 300.0


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from(CALLERS), st.floats(0, 30)), max_size=80))
def test_at_most_one_probe_is_let_through_at_a_time(events):
    """Calls overlap at random: of those let through while it is put aside for all, one a minute."""
    health, now, running = put_aside(), 0.0, []
    for verdict, caller, seconds in events:
        now += seconds
        if health.is_ready(caller, now) and health.put_aside_for() is None:
            assert all(now - begun >= PROBE_S for _, begun in running)
            running.append((caller, now))
            assert health.admit(caller, now)
        elif running:
            prober, _ = running.pop(0)
            health.report(verdict, prober, is_probe=True, now=now)
        if health.put_aside_for() is not None:
            break
