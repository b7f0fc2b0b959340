from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.decision_log.session_keys import _leaves, beginning_key, session_key
from router_model.serving.engine.read_query import uses_tools_now

SYSTEM = {"role": "system", "content": "Be brief."}
FIRST = {"role": "user", "content": "Fix the parser."}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "ok"}


@given(st.tuples(*[st.text(max_size=5)] * 2), st.tuples(*[st.text(max_size=5)] * 2))
def test_a_session_belongs_to_its_caller(one, other):
    assert (session_key(*one) == session_key(*other)) == (one == other)


@given(st.lists(st.text(max_size=9), max_size=4))
def test_a_follow_up_has_the_key_of_its_first_turn(later):
    turns = [{"role": ("assistant", "user")[i % 2], "content": text} for i, text in enumerate(later)]
    assert beginning_key("k", None, [SYSTEM, FIRST, *turns]) == beginning_key("k", None, [SYSTEM, FIRST])


@pytest.mark.parametrize(
    "other",
    [
        ("k", None, [FIRST]),
        ("k", None, [{"role": "system", "content": "Be long."}, FIRST]),
        ("k", None, [SYSTEM, {"role": "user", "content": "Fix the lexer."}]),
        ("k", None, [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "Fix the parser."}]}]),
        ("k", "a user", [SYSTEM, FIRST]),
        ("another key", None, [SYSTEM, FIRST]),
    ],
)
def test_other_beginnings_have_other_keys(other):
    assert beginning_key(*other) != beginning_key("k", None, [SYSTEM, FIRST])


def test_very_long_beginnings_differ_by_their_length_at_least():
    keys = {beginning_key("k", None, [{"role": "user", "content": "x" * n}]) for n in (8192, 8193, 20_000)}
    assert len(keys) == 3


@pytest.mark.parametrize("messages", [[], [SYSTEM], [{"content": "no role"}]])
def test_without_a_user_message_there_is_no_key(messages):
    assert beginning_key("k", None, messages) is None


def test_surrogates_and_odd_contents_are_hashed_like_anything_else():
    assert beginning_key("k", None, [{"role": "user", "content": "\ud800"}])
    assert beginning_key("k", None, [{"role": "user", "content": {"an": "object"}}])


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([FIRST], False),
        ([FIRST, CALL], True),
        ([FIRST, CALL, RESULT], True),
        ([FIRST, CALL, RESULT, {"role": "assistant", "content": "Done."}, FIRST], False),
        ([FIRST, {"role": "assistant", "content": "x", "tool_calls": []}], False),
        ([{"role": "function", "name": "f", "content": "1"}], True),
        ([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]}], True),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "1"}]}], True),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}, "text"]}], False),
        ([], False),
    ],
)
def test_tool_loops(messages, expected):
    assert uses_tools_now(messages) is expected


def test_a_beginning_is_hashed_in_bounded_work():
    """An image of megabytes, a million empty parts and 100,000 instructions are read as far as they tell anything."""
    image = [{"type": "image_url", "image_url": {"url": "data:" + "A" * 4_000_000}}]
    parts = [{"type": "text", "text": "hi", "more": [{}] * 1_000_000}]
    for content in (image, parts):
        leaves = list(islice(_leaves(content), 300))
        assert sum(map(len, leaves)) < 20_000
    user = {"role": "user", "content": image}
    assert beginning_key("a", None, [user]) != beginning_key("a", None, [{**user, "content": parts}])
    many = [{"role": "system", "content": "Be brief."}] * 100_000
    assert beginning_key("a", None, [*many, user]) == beginning_key("a", None, [*many, user, user])
