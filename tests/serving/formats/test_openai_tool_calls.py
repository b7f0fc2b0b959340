import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.formats.openai.tool_calls import CallPieces, whole_calls

A, B = '{"c":1}', '{"c":2}'
TWO = [("f", A), ("g", B)]
SAME = [("w", A), ("w", B)]


def piece(index=None, id_=None, name=None, arguments=None):
    """Return a piece that says nothing of what is None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    said = {"index": index, "id": id_, "function": function}
    return {key: value for key, value in said.items() if value is not None}


def assembled(deltas):
    """Return the calls as an SDK puts them together: by index, strings joined; ids and names come once."""
    pieces, calls = CallPieces(), {}
    sent = [one for delta in deltas for one in pieces.take(delta)] + pieces.finish(is_cut=False)
    for one in sent:
        function = one.get("function", {})
        if one["index"] not in calls:
            assert set(one) >= {"index", "id", "type", "function"}
            assert one["type"] == "function"
            calls[one["index"]] = [one["id"], "", ""]
        else:
            assert "id" not in one
        calls[one["index"]][1] += function.get("name", "")
        calls[one["index"]][2] += function.get("arguments", "")
    assert list(calls) == list(range(len(calls)))
    assert len({call[0] for call in calls.values()}) == len(calls)
    return [tuple(call[1:]) for call in calls.values()]


STREAMS = {
    "by the book": (
        [[piece(0, "a", "f", "")], [piece(0, None, None, A)], [piece(1, "b", "g", "")], [piece(1, None, None, B)]],
        TWO,
    ),
    "no index, whole calls": ([[piece(None, "a", "w", A)], [piece(None, "b", "w", B)]], SAME),
    "no index, no id, whole calls": ([[piece(None, None, "w", A)], [piece(None, None, "w", B)]], SAME),
    "no index, both in one delta": ([[piece(None, "a", "w", A), piece(None, "b", "w", B)]], SAME),
    "no index, in pieces": (
        [[piece(None, "a", "f", '{"c"')], [piece(arguments=":1}")], [piece(None, "b", "g", "")], [piece(arguments=B)]],
        TWO,
    ),
    "no index, interleaved by id": (
        [
            [piece(None, "a", "f", '{"c"')],
            [piece(None, "b", "g", '{"c"')],
            [piece(None, "a", None, ":1}")],
            [piece(None, "b", None, ":2}")],
        ],
        TWO,
    ),
    "no index, pieces of all calls in every delta": (
        [
            [piece(None, "a", "f", '{"c"'), piece(None, "b", "g", '{"c"')],
            [piece(arguments=":1}"), piece(arguments=":2}")],
        ],
        TWO,
    ),
    "index 0 always, whole calls": ([[piece(0, "a", "w", A)], [piece(0, "b", "w", B)]], SAME),
    "index 0 always, no ids": ([[piece(0, None, "w", A)], [piece(0, None, "w", B)]], SAME),
    "index 0 always, no ids, other names, arguments later": (
        [[piece(0, None, "f", "")], [piece(0, None, None, A)], [piece(0, None, "g", "")], [piece(0, None, None, B)]],
        TWO,
    ),
    "index 0 always, names first": (
        [[piece(0, "a", "f", "")], [piece(0, "b", "g", "")], [piece(0, "a", None, A)], [piece(0, "b", None, B)]],
        TWO,
    ),
    "index 0 always, in pieces": (
        [
            [piece(0, "a", "w", '{"c"')],
            [piece(0, None, None, ":1}")],
            [piece(0, "b", "w", "")],
            [piece(0, None, None, B)],
        ],
        SAME,
    ),
    "index 0 always, both in one delta": ([[piece(0, "a", "f", A), piece(0, "b", "g", B)]], TWO),
    "index in a text": ([[piece("0", "a", "f", A)], [piece("1", "b", "g", B)]], TWO),
    "index from 1": ([[piece(1, "a", "f", A)], [piece(2, "b", "g", B)]], TWO),
    "interleaved by index": (
        [
            [piece(0, "a", "f", ""), piece(1, "b", "g", "")],
            [piece(0, None, None, '{"c"')],
            [piece(1, None, None, '{"c"')],
            [piece(0, None, None, ":1}"), piece(1, None, None, ":2}")],
        ],
        TWO,
    ),
    "id and name with every piece": (
        [[piece(0, "a", "w", "")], [piece(0, "a", "w", '{"c"')], [piece(0, "a", "w", ":1}")], [piece(0, "a", "w", "")]],
        [("w", A)],
    ),
    "name with every piece, no id": (
        [[piece(0, None, "w", '{"c"')], [piece(0, None, "w", ":1}")], [piece(0, None, "w", "")]],
        [("w", A)],
    ),
    "another id with every piece": (
        [[piece(0, "a", "w", '{"c"')], [piece(0, "b", None, ":1")], [piece(0, "c", "w", "}")]],
        [("w", A)],
    ),
    "empty ids": ([[piece(0, "", "f", A)], [piece(1, "", "g", B)]], TWO),
    "one id for all": ([[piece(0, "x", "f", A)], [piece(1, "x", "g", B)]], TWO),
    "one id for all, in pieces": (
        [[piece(0, "x", "f", "")], [piece(1, "x", "g", "")], [piece(0, "x", None, A)], [piece(1, "x", None, B)]],
        TWO,
    ),
    "one id and index for all": ([[piece(0, "x", "w", A)], [piece(0, "x", "w", B)]], SAME),
    "id after the name": ([[piece(0, None, "f")], [piece(0, "a", None, A)]], [("f", A)]),
    "name in pieces": (
        [[piece(0, "a", "get_")], [piece(0, None, "weather")], [piece(0, None, None, A)]],
        [("get_weather", A)],
    ),
    "name in pieces beside arguments": (
        [[piece(0, "a", "get_", "")], [piece(0, None, "weather", "")], [piece(0, None, None, A)]],
        [("get_weather", A)],
    ),
    "name so far": (
        [[piece(0, "a", "get_")], [piece(0, "a", "get_weather")], [piece(0, "a", None, A)]],
        [("get_weather", A)],
    ),
    "arguments an object": ([[piece(0, "a", "f", {"c": 1})], [piece(0, "b", "g", {"c": 2})]], TWO),
    "arguments null or missing": (
        [[{"index": 0, "id": "a", "function": {"name": "f", "arguments": None}}]],
        [("f", "{}")],
    ),
    "arguments empty": ([[piece(0, "a", "f", "")]], [("f", "{}")]),
    "the whole call again at the end": (
        [[piece(0, "a", "f", "")], [piece(0, None, None, A)], [piece(0, "a", "f", A)]],
        [("f", A)],
    ),
    "no function around the name": ([[{"id": "a", "name": "f", "arguments": A}]], [("f", A)]),
    "one call, not in a list": ([piece(0, "a", "f", A)], [("f", A)]),
    "null among the pieces": ([None, [None, piece(0, "a", "f", A)], []], [("f", A)]),
}


@pytest.mark.parametrize("deltas, calls", STREAMS.values(), ids=STREAMS)  # noqa: PT006
def test_pieces_become_the_calls_that_were_meant(deltas, calls):
    assert assembled(deltas) == calls


def test_pieces_by_the_book_stay_as_they_are():
    begun = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}, "extra_content": {}}
    pieces = CallPieces()
    assert pieces.take([begun]) == [begun]
    assert pieces.take([piece(0, None, None, A)]) == [piece(0, None, None, A)]
    assert pieces.finish(is_cut=False) == []


def test_a_call_that_was_cut_is_not_completed():
    pieces = CallPieces()
    pieces.take([piece(0, "a", "f", "")])
    assert pieces.finish(is_cut=True) == []


def test_custom_tools_pass():
    begun = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}}
    more = {"index": 0, "custom": {"input": "SELECT 1"}}
    pieces = CallPieces()
    assert [*pieces.take([begun]), *pieces.take([more]), *pieces.finish(is_cut=False)] == [begun, more]


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers(0, 9) | st.text(max_size=9)), min_size=1, max_size=4),
    st.data(),
)
def test_calls_are_told_apart_however_their_arguments_are_cut(objects, data):
    """With ids and without an index, the arguments cut anywhere."""
    deltas, wanted = [], []
    for number, arguments in enumerate(objects):
        said = json.dumps(arguments)
        cut = data.draw(st.integers(1, len(said) - 1))
        deltas += [[piece(None, f"id{number}", "w", said[:cut])], [piece(arguments=said[cut:])]]
        wanted.append(("w", said))
    assert assembled(deltas) == wanted


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ({"id": "a", "function": {"name": "f", "arguments": {"c": 1}}}, A),
        ({"id": "a", "function": {"name": "f", "arguments": A}}, A),
        ({"id": "a", "function": {"name": "f", "arguments": json.dumps(A)}}, A),
        ({"id": "a", "function": {"name": "f", "arguments": ""}}, "{}"),
        ({"id": "a", "function": {"name": "f"}}, "{}"),
        ({"id": "a", "name": "f", "arguments": None}, "{}"),
        ({"function": {"name": "f", "arguments": '{"c":'}}, '{"c":'),
    ],
)
def test_whole_calls_have_arguments_in_a_text(call, arguments):
    (whole,) = whole_calls([call])
    assert whole["function"] == {"name": "f", "arguments": arguments}
    assert whole["type"] == "function"
    assert whole["id"] == call.get("id", whole["id"])
    assert whole["id"]


def test_whole_calls_have_ids_of_their_own():
    call = {"id": "x", "function": {"name": "f", "arguments": A}}
    first, second = whole_calls([call, call])
    assert first["id"] == "x"
    assert second["id"].startswith("call_")
