import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.formats.json_text import dump, load_object
from router_model.serving.providers.failures import FailureKind, UpstreamFailure


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\ud83d", "b": "\\ude00"}', {"a": "?", "b": "?"}),
        (b'{"a": NaN, "b": [Infinity, -Infinity]}', {"a": None, "b": [None, None]}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
    ],
)
def test_what_is_nearly_json_is_read_and_can_be_written(content, expected):
    assert load_object(content, "answer") == expected
    assert json.loads(dump(load_object(content, "answer"))) == expected


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"a": ', b"[" * 5000, b'{"a": 1} {"b": 2}'])
def test_what_is_no_json_is_malformed_and_not_shown(content):
    with pytest.raises(
        UpstreamFailure, match=rf"the provider's answer is not valid JSON \({len(content)} bytes\)"
    ) as raised:
        load_object(content, "answer")
    assert raised.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(("content", "name"), [(b"[]", "list"), (b'"a"', "str"), (b"null", "NoneType"), (b"1", "int")])
def test_what_is_no_object_is_malformed(content, name):
    with pytest.raises(UpstreamFailure, match=f"answer is JSON of type {name}; expected an object"):
        load_object(content, "answer")


@given(st.dictionaries(st.text(), st.integers() | st.text(st.characters(), max_size=5)))
def test_whatever_a_caller_sends_can_be_written(value):
    assert json.loads(dump(value)) == json.loads(json.dumps(value))


def test_halves_of_surrogate_pairs_can_be_written():
    assert json.loads(dump({"a": "\ud83d", "b": 2**70})) == {"a": "\ud83d", "b": 2**70}
