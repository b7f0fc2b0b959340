"""Server-sent events, from bytes that may be cut anywhere."""

import re
from collections.abc import Iterator
from typing import Final

from serving.formats.format import Event
from serving.providers.failures import FailureKind, UpstreamFailure

MAX_EVENT_BYTES: Final = 33_554_432
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventParser:
    r"""Collects bytes into events; comments, ids and retry times say nothing to us.

    A last event without a blank line after it is not an event, as the standard has it.

    Examples
    --------
    >>> parser = EventParser()
    >>> list(parser.feed(b"event: a\ndata: 1\nda")), list(parser.feed(b"ta: 2\n\n: wait\n\n"))
    ([], [Event(data=b'1\n2', name='a')])
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._begun = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are complete with these bytes.

        Raises
        ------
        UpstreamFailure
            If an event is longer than `MAX_EVENT_BYTES`.
        """
        buffered = self._rest + data
        if not self._begun and len(buffered) >= len(_BOM):
            self._begun = True
            buffered = buffered.removeprefix(_BOM)
        *lines, self._rest = _LINE_END.split(buffered) if not buffered.endswith(b"\r") else _all_but_last(buffered)
        for line in lines:
            event = self._take(line)
            if event is not None:
                yield event
        self._size += len(data) if self._rest or self._data else -self._size
        if self._size > MAX_EVENT_BYTES:
            raise UpstreamFailure(
                FailureKind.MALFORMED, f"an event of the provider's stream is longer than {MAX_EVENT_BYTES} bytes"
            )

    def _take(self, line: bytes) -> Event | None:
        if not line:
            event = Event(b"\n".join(self._data), self._name) if self._data else None
            self._data, self._name = [], ""
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None


def _all_but_last(buffered: bytes) -> list[bytes]:
    r"""Split, and keep a final ``\r`` for the next bytes: a ``\n`` may belong to it."""
    lines = _LINE_END.split(buffered[:-1])
    lines[-1] += b"\r"
    return lines
