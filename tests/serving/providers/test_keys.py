import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.providers.health import Verdict
from router_model.serving.providers.keys import KeyRing

FAILS = Verdict.FAILS


def anything(_):
    return True


def test_keys_are_taken_in_turn():
    ring = KeyRing({"A": "key-a", "B": "key-b", "C": "key-c"})
    assert [ring.take(anything).value for _ in range(4)] == ["key-a", "key-b", "key-c", "key-a"]


def test_a_provider_without_keys_is_called_without_one():
    ring = KeyRing({})
    assert (ring.take(anything).value, ring.states(), ring.trouble(0.0)) == (None, {}, [])


def test_same_key_under_two_names_counts_once():
    ring = KeyRing({"A": "one", "B": "one", "C": "two"})
    assert [ring.take(anything).value for _ in range(3)] == ["one", "two", "one"]
    assert ring.states() == {"A": "ok", "C": "ok"}


@given(st.lists(st.frozensets(st.sampled_from("abc")), max_size=20))
def test_the_key_that_is_taken_is_one_that_may_be_used(usable):
    """None only where none may."""
    ring = KeyRing({name.upper(): name for name in "abc"})
    for values in usable:
        key = ring.take(lambda key, values=values: key.value in values)
        assert (key is None) if not values else key.value in values


def test_a_limit_of_a_model_leaves_the_keys_other_models_alone():
    """At 100 s the key is limited for m1 and 20 s; m2 goes on. At 110 s all of the key is limited for 5 s."""
    ring = KeyRing({"A": "key-a"})
    (key,) = ring.keys
    key.limits.of("m1").report(FAILS, "ann", is_probe=False, now=100.0, pause_s=20.0)
    assert [key.is_ready(model, "ann", 119.9) for model in ("m1", "m2")] == [False, True]
    key.limits.of(None).report(FAILS, "ann", is_probe=False, now=110.0, pause_s=5.0)
    assert [key.is_ready(model, "ann", 114.9) for model in ("m1", "m2")] == [False, False]
    assert [key.is_ready(model, "ann", 120.0) for model in ("m1", "m2")] == [True, True]


@pytest.mark.parametrize(
    ("n_refusals", "limited", "state"),
    [(0, False, "ok"), (1, False, "suspected"), (2, True, "refused"), (0, True, "limited")],
)
def test_states_say_what_is_wrong_and_never_the_key(n_refusals, limited, state):
    ring = KeyRing({"A": "key-a"})
    (key,) = ring.keys
    for _ in range(n_refusals):
        key.refusals.report(FAILS, "ann", is_probe=False, now=0.0)
    if limited:
        key.limits.of(None).report(FAILS, "ann", is_probe=False, now=0.0, pause_s=30.0)
    assert ring.states() == {"A": state}
    assert "key-a" not in f"{ring.states()}{ring.trouble(1.0)}{key}"


def test_trouble_is_told_by_key_and_model():
    ring = KeyRing({"A": "key-a"})
    (key,) = ring.keys
    for caller in ("ann", "bob"):
        key.limits.of("m1").report(FAILS, caller, is_probe=False, now=0.0, pause_s=30.0)
    key.limits.of("m2").report(FAILS, "ann", is_probe=False, now=0.0, pause_s=60.0)
    common = {"key": "A", "why": "limited", "state": "open"}
    assert ring.trouble(10.0) == [
        {**common, "model": "m1", "callers": None, "retry_in_s": 20.0},
        {**common, "model": "m2", "callers": ["ann"], "retry_in_s": 50.0},
    ]
