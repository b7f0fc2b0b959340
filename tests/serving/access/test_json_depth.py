import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.access.json_depth import check_depth, json_depth
from serving.errors import InvalidRequestError

text = st.text(st.sampled_from('\\"[]{}:, a\n\x00é\u2028😀'), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=20,
)


def depth_of(value):
    """The plain reference: walk what was parsed."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(values, st.booleans(), st.sampled_from([None, 1]))
@example(["\\", '"', '\\"[', "\\\\[["], False, None)
def test_depth_is_that_of_the_parsed_value(value, ensure_ascii, indent):
    body = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert json_depth(body) == depth_of(json.loads(body)) == depth_of(value)


@given(values, st.integers(1, 6))
def test_exactly_what_is_deeper_than_the_limit_is_refused(value, limit):
    body = json.dumps(value).encode()
    if depth_of(value) <= limit:
        check_depth(body, limit)
    else:
        with pytest.raises(
            InvalidRequestError, match=f"nested {depth_of(value)} levels deep; expected at most {limit}"
        ):
            check_depth(body, limit)


@given(st.binary(max_size=50) | st.text('[]{}"\\', max_size=50).map(str.encode))
def test_what_is_not_json_has_some_depth_and_raises_nothing_else(body):
    assert 0 <= json_depth(body) <= body.count(b"[") + body.count(b"{")


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        (b"", 0),
        (b'"[[["', 0),
        (b"[[], []]", 2),
        (b'{"a": {}, "a": {"b": []}}', 3),  # the same name twice
        (b'["\\\\", [1]]', 2),  # the string is one backslash, and ends
        (b'["\\"[[", 1]', 1),  # the string goes on after its quote
        (b'["\\\\\\"[[", 1]', 1),
        (b'"never closed [[[', 0),
        (b"]]]][[", 0),
        (b"[" * 100_000, 100_000),
    ],
)
def test_hand_made_bodies(body, depth):
    assert json_depth(body) == depth


def test_many_shallow_objects_are_fine():
    check_depth(json.dumps({"messages": [{"content": [{"text": "["}]}] * 1000}).encode(), limit=5)
