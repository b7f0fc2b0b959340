"""Parse server-sent events from bytes cut anywhere; the time is linear in the bytes, however they are cut."""

import json
import re
from collections.abc import Iterator
from typing import Final

import orjson

from router_model.serving.formats.format import Event
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

MAX_EVENT_BYTES: Final = 33_554_432
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data: "
_EVENT_END: Final = b"\n\n"
_SEVERAL: Final = re.compile(rb"[}\]]\s*[{\[]")
_SPACE: Final = re.compile(r"\s*")
_DONE: Final = "[DONE]"
_DECODER: Final = json.JSONDecoder()


def events_in(event: Event) -> Iterator[Event]:
    r"""Yield an event; of one with several JSON objects in its data, as servers send that forget a line, one for each.

    >>> [one.data for one in events_in(Event(b'{"a": 1}\n{"a": 2}\n[DONE]'))]
    [b'{"a": 1}', b'{"a": 2}', b'[DONE]']
    """
    data = event.data
    # A search first: only data that may hold two objects is parsed twice, here and by its reader.
    if not _SEVERAL.search(data) or _is_json(data):
        yield event
        return
    try:
        yield from [Event(one.encode(), event.name) for one in _several(data.decode())]
    except ValueError:  # it is broken, which its reader says better
        yield event


def _several(content: str) -> Iterator[str]:
    at = _after_space(content, 0)
    while at < len(content):
        end = at + len(_DONE) if content.startswith(_DONE, at) else _DECODER.raw_decode(content, at)[1]
        yield content[at:end]
        at = _after_space(content, end)


def _after_space(content: str, at: int) -> int:
    space = _SPACE.match(content, at)
    return at if space is None else space.end()


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


class EventParser:
    r"""Collects bytes into events; comments, ids and retry times say nothing to us.

    A last event without a blank line after it is not an event, as the standard has it (WHATWG HTML, 9.2.6).

    Examples
    --------
    >>> parser = EventParser()
    >>> list(parser.feed(b"event: a\ndata: 1\nda")), list(parser.feed(b"ta: 2\n\n: wait\n\n"))
    ([], [Event(data=b'1\n2', name='a')])
    """

    def __init__(self) -> None:
        # A list that is joined once: adding each piece to the last takes quadratic time for a line in many pieces.
        self._line: list[bytes] = []
        self._n_line = 0
        self._data: list[bytes] = []
        self._n_data = 0
        self._name = ""
        self._is_after_cr = False
        self._head: bytes | None = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are complete with these bytes.

        Raises
        ------
        UpstreamFailure
            If an event is longer than `MAX_EVENT_BYTES`.
        """
        if self._head is not None:
            data = self._begin(data)
        # What nearly all pieces are: whole events of one line of data each.
        if data.endswith(_EVENT_END) and b"\r" not in data and self._is_between_events:
            for block in data[: -len(_EVENT_END)].split(_EVENT_END):
                if block.startswith(_DATA) and b"\n" not in block:
                    self._bound(len(block))
                    yield Event(block[len(_DATA) :])
                else:
                    yield from self._take_lines([*block.split(b"\n"), b""])
        elif data:
            yield from self._take_piece(data)

    def rest(self) -> Event:
        """Return the event at the end of the body whose blank line is missing; without data if there is none."""
        if self._line:
            self._take(b"".join(self._line))
        return Event(b"\n".join(self._data), self._name)

    @property
    def _is_between_events(self) -> bool:
        return not (self._line or self._data or self._name or self._is_after_cr)

    def _begin(self, data: bytes) -> bytes:
        """Drop a byte order mark, which may be cut, too."""
        head = (self._head or b"") + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _take_piece(self, data: bytes) -> Iterator[Event]:
        if self._is_after_cr:
            # The bytes were cut within a \r\n: this \n ends no second line, which would end the event.
            data = data.removeprefix(b"\n")
        self._is_after_cr = data.endswith(b"\r")
        first, *lines = _LINE_END.split(data) if b"\r" in data else data.split(b"\n")
        if first:
            self._line.append(first)
            self._n_line += len(first)
        if lines:
            lines.insert(0, b"".join(self._line))
            rest = lines.pop()
            self._line, self._n_line = [rest] if rest else [], len(rest)
            yield from self._take_lines(lines)
        self._bound(self._n_line)

    def _take_lines(self, lines: list[bytes]) -> Iterator[Event]:
        for line in lines:
            if line:
                self._take(line)
            else:
                if self._data:
                    yield Event(b"\n".join(self._data), self._name)
                self._data, self._n_data, self._name = [], 0, ""

    def _take(self, line: bytes) -> None:
        self._bound(len(line))
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._n_data += len(line)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _bound(self, n_more: int) -> None:
        if self._n_data + n_more > MAX_EVENT_BYTES:
            raise UpstreamFailure(
                FailureKind.MALFORMED, f"an event of the provider's stream is longer than {MAX_EVENT_BYTES} bytes"
            )
