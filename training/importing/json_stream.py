"""A JSON file read one record at a time, without holding the file.

Reads a list of records, or an object with one list of records; the object's other fields are the records'
context (LLMRouterBench names the model there). An object without such a list is one record. As the context
may stand behind the list, objects are walked twice.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from training.importing.byte_streams import MAX_RECORD_BYTES, mapped_errors
from training.importing.problems import StreamError

LIST_KEYS: Final = ("records", "results", "data", "resourceSpans")
"""Names of an object's list of records."""

_CHUNK_BYTES: Final = 256 * 1024
_LONGEST_PARTIAL: Final = 16  # a literal or escape cut off by the end of the buffer is shorter than this


class JsonCursor:
    """A position in a stream of JSON text."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._parser = json.JSONDecoder()
        self._buffer = ""
        self._position = 0
        self._at_end = False

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in " \t\r\n":
                    return character
                self._position += 1
            if self._at_end:
                return ""
            self._fill()

    def take(self, expected: str) -> str:
        """Step over one of the characters `expected` and return it."""
        character = self.peek()
        if not character or character not in expected:
            wanted = " or ".join(repr(one) for one in expected)
            raise StreamError(
                repr(character) if character else "the end of the file", f"JSON with {wanted} here", _ADVICE
            )
        self._position += 1
        return character

    def value(self) -> tuple[Any, int]:
        """Decode the value that begins here; also return its length in characters."""
        self.peek()
        while True:
            try:
                value, end = self._parser.raw_decode(self._buffer, self._position)
            except (ValueError, RecursionError) as exc:
                if not self._may_be_cut(exc):
                    raise StreamError(f"broken JSON ({exc})", "valid JSON", _ADVICE) from exc
            else:
                if end < len(self._buffer) or self._at_end:
                    length, self._position = end - self._position, end
                    return value, length
            self._fill()

    def end(self) -> None:
        """Check that nothing follows."""
        if self.peek():
            raise StreamError(
                f"more text after the JSON value, beginning with {self.peek()!r}",
                "one JSON value in a .json file",
                "name it .jsonl if each line is a record",
            )

    def _may_be_cut(self, exc: Exception) -> bool:
        """Whether the buffer's end, and not the text, may have caused an error."""
        if self._at_end or not isinstance(exc, json.JSONDecodeError):
            return False
        return exc.msg.startswith("Unterminated") or exc.pos >= len(self._buffer) - _LONGEST_PARTIAL

    def _fill(self) -> None:
        pending = len(self._buffer) - self._position
        if pending > MAX_RECORD_BYTES:
            raise StreamError(
                f"a record longer than {MAX_RECORD_BYTES:,} characters",
                "shorter ones",
                "write one record a line (.jsonl)",
            )
        with mapped_errors():
            # doubling keeps the work of decoding a long record again linear
            chunk = self._stream.read(max(_CHUNK_BYTES, pending))
        self._at_end = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._at_end)
        except UnicodeDecodeError as exc:
            raise StreamError(f"bytes that are not UTF-8 ({exc.reason})", "text in UTF-8", "convert the file") from exc
        self._buffer = self._buffer[self._position :] + text
        self._position = 0


_ADVICE: Final = "mend the file or export it again"


def read_context(stream: BinaryIO) -> tuple[dict[str, Any], str | None]:
    """Return an object's fields beside its list of records, and the name of that list.

    A list at the top has no context. What follows damage is not seen; `read_elements` will report it.
    """
    cursor = JsonCursor(stream)
    context: dict[str, Any] = {}
    lists: list[str] = []
    if cursor.peek() in ("[", ""):
        return context, None
    try:
        for key in _keys(cursor):
            if key in LIST_KEYS and cursor.peek() == "[":
                lists.append(key)
                for _ in _elements(cursor):
                    pass
            else:
                context[key], _ = cursor.value()
        cursor.end()
    except StreamError:
        if not lists:
            raise
    if len(lists) > 1:
        raise StreamError(f"an object with the lists {lists}", "one list of records", "keep one of them")
    return context, lists[0] if lists else None


def read_elements(stream: BinaryIO, list_key: str | None) -> Iterator[tuple[Any, int]]:
    """Yield the elements of the list at the top, or of an object's `list_key`, with their lengths.

    Raises
    ------
    StreamError
        If the text is not JSON; elements before the damage have been yielded.
    """
    cursor = JsonCursor(stream)
    if cursor.peek() == "[":
        yield from _elements(cursor)
    elif cursor.peek():
        for key in _keys(cursor):
            if key == list_key and cursor.peek() == "[":
                yield from _elements(cursor)
            else:
                cursor.value()
    cursor.end()


def _keys(cursor: JsonCursor) -> Iterator[str]:
    """Yield an object's keys; the caller reads each value before asking for the next."""
    cursor.take("{")
    if cursor.peek() == "}":
        cursor.take("}")
        return
    while True:
        key, _ = cursor.value()
        cursor.take(":")
        yield str(key)
        if cursor.take(",}") == "}":
            return


def _elements(cursor: JsonCursor) -> Iterator[tuple[Any, int]]:
    cursor.take("[")
    if cursor.peek() == "]":
        cursor.take("]")
        return
    while True:
        yield cursor.value()
        if cursor.take(",]") == "]":
            return
