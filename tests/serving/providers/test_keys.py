import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.providers.keys import DEAD_S, LONGEST_PAUSE_S, KeyRing


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ring(clock):
    return KeyRing({"A": "key-a", "B": "key-b", "C": "key-c"}, clock=clock)


def test_keys_are_taken_in_turn(ring):
    assert [ring.take() for _ in range(4)] == ["key-a", "key-b", "key-c", "key-a"]
    assert not ring.needs_none


def test_ring_without_keys_needs_none():
    ring = KeyRing({})
    assert (ring.needs_none, ring.take(), ring.states()) == (True, None, {})


def test_same_key_under_two_names_counts_once():
    ring = KeyRing({"A": "one", "B": "one", "C": "two"})
    assert [ring.take() for _ in range(3)] == ["one", "two", "one"]
    assert ring.states() == {"A": "ok", "C": "ok"}


def test_dead_key_is_left_alone_for_an_hour(ring, clock):
    ring.kill("key-b")
    assert [ring.take() for _ in range(3)] == ["key-a", "key-c", "key-a"]
    assert ring.states() == {"A": "ok", "B": "dead", "C": "ok"}
    clock.now_s += DEAD_S
    assert [ring.take() for _ in range(3)] == ["key-b", "key-c", "key-a"]


def test_dead_key_is_named_in_the_log_once(ring, caplog):
    """By its variable: what it is, nobody but the provider gets to know."""
    ring.kill("key-b")
    ring.kill("key-b")
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    assert "the key in B was refused" in caplog.text
    assert "key-b" not in caplog.text


def test_paused_key_is_left_alone_until_then(ring, clock):
    """Paused at 100 for 10 s, and for 2 s while that lasts: free at 110."""
    ring.pause("key-a", 10)
    ring.pause("key-a", 2)
    assert ring.take() == "key-b"
    clock.now_s = 109.9
    assert (ring.take(), ring.take(), ring.states()["A"]) == ("key-c", "key-b", "paused")
    clock.now_s = 110
    assert (ring.take(), ring.take()) == ("key-c", "key-a")


def test_no_key_is_left(ring):
    ring.kill("key-a")
    ring.pause("key-b", 1)
    ring.kill("key-c")
    assert ring.take() is None


@pytest.mark.parametrize("seconds", [1e9, float("inf"), float("nan")])
def test_pause_is_bounded(ring, clock, seconds):
    ring.pause("key-a", seconds)
    clock.now_s += LONGEST_PAUSE_S
    assert ring.take() == "key-a"


def test_key_of_before_is_no_matter(ring):
    ring.kill("rotated")
    ring.pause("rotated", 5)
    assert ring.take() == "key-a"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("kill"), st.sampled_from("abc"), st.just(0.0)),
            st.tuples(st.just("pause"), st.sampled_from("abc"), st.floats(0, 100)),
            st.tuples(st.just("wait"), st.just(""), st.floats(0, 4000)),
            st.tuples(st.just("take"), st.just(""), st.just(0.0)),
        )
    )
)
def test_taken_key_is_one_that_is_free(steps):
    """Against a plain list of until when each key is blocked; None only where all are."""
    clock, blocked = Clock(), dict.fromkeys("abc", 0.0)
    ring = KeyRing({name.upper(): name for name in "abc"}, clock=clock)
    for step, key, seconds in steps:
        if step == "wait":
            clock.now_s += seconds
        elif step == "kill":
            ring.kill(key)
            blocked[key] = max(blocked[key], clock.now_s + DEAD_S)
        elif step == "pause":
            ring.pause(key, seconds)
            blocked[key] = max(blocked[key], clock.now_s + seconds)
        free = {name for name, until_s in blocked.items() if until_s <= clock.now_s}
        taken = ring.take()
        assert taken in free if free else taken is None
