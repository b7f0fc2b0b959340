import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router_model.serving.common.service_errors import InvalidRequestError, TooLargeError
from router_model.serving.http_edge.json_shape import DEAR, check_shape, json_shape

text = st.text(st.sampled_from('\\"[]{}:, a\n\x00é\u2028😀'), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=20,
)


ANY = 10**9


def parts_of(value):
    """The plain reference: an empty array, and one that holds a value, have no comma."""
    if isinstance(value, dict):
        return DEAR + DEAR * len(value) + sum(map(inside, value.values())) + max(len(value) - 1, 0)
    if isinstance(value, list):
        return DEAR + sum(map(inside, value)) + max(len(value) - 1, 0)
    return 0


def inside(value):
    return parts_of(value) if isinstance(value, dict | list) else 0


def depth_of(value):
    """The plain reference: walk what was parsed."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(values, st.booleans(), st.sampled_from([None, 1]))
@example(["\\", '"', '\\"[', "\\\\[["], False, None)
def test_depth_is_that_of_the_parsed_value(value, ensure_ascii, indent):
    body = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert json_shape(body).depth == depth_of(json.loads(body)) == depth_of(value)
    assert json_shape(body).n_parts == parts_of(value) + 1


@given(values, st.integers(1, 6))
def test_exactly_what_is_deeper_than_the_limit_is_refused(value, limit):
    body = json.dumps(value).encode()
    if depth_of(value) <= limit:
        check_shape(body, max_depth=limit, max_parts=ANY)
    else:
        with pytest.raises(
            InvalidRequestError, match=f"nested {depth_of(value)} levels deep; expected at most {limit}"
        ):
            check_shape(body, max_depth=limit, max_parts=ANY)


@given(st.binary(max_size=50) | st.text('[]{}"\\', max_size=50).map(str.encode))
def test_what_is_not_json_has_some_depth_and_raises_nothing_else(body):
    assert 0 <= json_shape(body).depth <= body.count(b"[") + body.count(b"{")


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
    assert json_shape(body).depth == depth


def test_many_shallow_objects_are_fine():
    body = json.dumps({"messages": [{"content": [{"text": "["}]}] * 1000}).encode()
    check_shape(body, max_depth=5, max_parts=ANY)


@given(values, st.integers(1, 60))
def test_exactly_what_has_more_parts_than_the_limit_is_refused(value, limit):
    body = json.dumps(value).encode()
    if parts_of(value) + 1 <= limit:
        check_shape(body, max_depth=64, max_parts=limit)
    else:
        with pytest.raises(
            TooLargeError, match=f"has at least {parts_of(value) + 1} parts, .* expected at most {limit};"
        ):
            check_shape(body, max_depth=64, max_parts=limit)


@pytest.mark.parametrize("filler", ["a", "\\", '"', "é", "[", "\\\\\\x"])
@pytest.mark.parametrize("n", [16_000, 16_384, 50_000])
def test_long_strings_are_found_across_steps(filler, n):
    """However its steps fall, each string of 16 KiB is found, and what is in it is no structure."""
    value = {"a": [1, filler * n, {"b": "x" * n}], "c": [[]]}
    body = json.dumps(value, ensure_ascii=False).encode()
    shape = json_shape(body)
    assert (shape.depth, shape.n_parts) == (depth_of(value), parts_of(value) + 1)
    found = [json.loads(b'"' + body[start:end] + b'"') for start, end in shape.long_texts]
    assert {text for text in (filler * n, "x" * n) if len(text.encode()) >= 16_384} <= set(found)
