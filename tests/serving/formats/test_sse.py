import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.formats import sse
from router_model.serving.formats.format import Event
from router_model.serving.formats.sse import EventParser
from router_model.serving.providers.failures import FailureKind, UpstreamFailure


def parsed(*pieces):
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def plain_reading(content):
    """A slow reading of the standard, line by line, of the whole."""
    lines = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events, data, name = [], [], ""
    for line in lines[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            events += [Event(b"\n".join(data), name)] if data else []
            data, name = [], ""
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return events


@pytest.mark.parametrize(
    ("content", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data:a\n\n", [Event(b"a")]),
        (b"data:  a \n\n", [Event(b" a ")]),
        (b"data\n\n", [Event(b"")]),
        (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
        (b"event: x\r\ndata: a\r\n\r\n", [Event(b"a", "x")]),
        (b"event: x\rdata: a\r\r", [Event(b"a", "x")]),
        (b"event: lost\n\ndata: a\n\n", [Event(b"a")]),
        (b": wait\n\n: wait\n\nid: 7\nretry: 3\ndata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data: a\n", []),
        (b"data: a", []),
    ],
)
def test_events_are_read_as_the_standard_has_them(content, events):
    assert parsed(content) == events == plain_reading(content)


LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"event: e", b": c", b"id: 1", b"", b"", b"\xf0\x9f\x98\x80", b"data: \xf0\x9f"]
)
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
STREAMS = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=12).map(b"".join),
).map(b"".join)


@given(STREAMS, st.data())
def test_any_cutting_gives_the_same_events(content, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    expected = plain_reading(content)
    assert parsed(*pieces) == expected
    assert parsed(*(bytes([one]) for one in content)) == expected


def test_a_huge_event_in_many_pieces_is_joined_once():
    """8 MB in pieces of 1 kB: joined anew for every piece it would be 32 GB of copying, which no test waits for."""
    piece = b"x" * 1024
    (event,) = parsed(b"data: ", *[piece] * 8192, b"\n", b"\n")
    assert len(event.data) == 8192 * 1024


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: 0123456789\n\n"],
        [b"data: 0123456789\n", b"\n"],
        [b"data: 01234", b"56789"],
        [b"data: 01\n", b"data: 23\n", b"data: 45\n"],
        [b"data: 01\ndata: 23\ndata: 45\n\n"],
    ],
)
def test_an_event_that_is_too_long_is_malformed_however_it_is_cut(monkeypatch, pieces):
    """15 bytes are the most: ``data: 0123456789`` has 16, three lines of ``data: 01`` have 24."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 15)
    with pytest.raises(UpstreamFailure, match="is longer than 15 bytes") as raised:
        parsed(*pieces)
    assert raised.value.kind is FailureKind.MALFORMED


def test_many_short_events_are_no_long_one(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 15)
    assert len(parsed(b"data: 1\n\n" * 9, b"data: 1\n", b"\n", b": a comment\n" * 9, b"data: 1\n\n")) == 11
