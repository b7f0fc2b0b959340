"""Read a JSON file one record at a time, without holding the whole file in memory.

Three shapes of files are read. A list is a list of records. An object may hold one list of records, whose path the
adapter declares. The other fields of this object are the context of the records (for example, LLMRouterBench names the
model there). An object without such a list is one record, and more objects may follow it. OpenTelemetry's console
exporter writes this shape, and so do tools that call their JSON lines ``.json``. The context may come after the list,
so an object with a list is read twice.
"""

import codecs
import json
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

from router_model.training.importing.byte_streams import MAX_RECORD_BYTES, mapped_errors
from router_model.training.importing.problems import StreamError

_CHUNK_BYTES: Final = 256 * 1024
_LONGEST_PARTIAL: Final = 16  # a literal or escape that the end of the buffer cuts off is shorter than this


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

    def expect(self, expected: str) -> str:
        """Return the next character, which must be one of `expected`, and stay before it."""
        character = self.peek()
        if not character or character not in expected:
            wanted = " or ".join(repr(one) for one in expected)
            raise StreamError(
                repr(character) if character else "the end of the file", f"JSON with {wanted} here", _ADVICE
            )
        return character

    def take(self, expected: str) -> str:
        """Read one of the characters `expected` and return it."""
        character = self.expect(expected)
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
            # doubling keeps the total work linear, although a long record is decoded again and again
            chunk = self._stream.read(max(_CHUNK_BYTES, pending))
        self._at_end = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._at_end)
        except UnicodeDecodeError as exc:
            raise StreamError(f"bytes that are not UTF-8 ({exc.reason})", "text in UTF-8", "convert the file") from exc
        self._buffer = self._buffer[self._position :] + text
        self._position = 0


_ADVICE: Final = "mend the file or export it again"


_Path: TypeAlias = tuple[str, ...]


class Outline(NamedTuple):
    """The structure of a JSON file: where its records are.

    Attributes
    ----------
    list_path : tuple of str or None
        Path of the list of records in the file's one object; None if the file has no such list.
    fields : dict
        The other fields of that object.
    is_one_record : bool
        Whether the file is one object without a list of records. Then `fields` is the record.
    """

    list_path: _Path | None
    fields: dict[str, Any]
    is_one_record: bool


_MANY_VALUES: Final = Outline(None, {}, is_one_record=False)


def read_outline(stream: BinaryIO, lists: Collection[str]) -> Outline:
    """Find out how a file holds its records.

    Damage is not reported here and ends the search; `read_records` will report it.

    Parameters
    ----------
    stream : binary stream
    lists : collection of str
        Paths that a list of records may have in an object, dots between the keys.
    """
    cursor = JsonCursor(stream)
    if cursor.peek() in ("[", ""):
        return _MANY_VALUES
    fields: dict[str, Any] = {}
    found: dict[_Path, None] = {}
    try:
        for piece in _walk(cursor, {tuple(path.split(".")) for path in lists}):
            if piece.in_list:
                found[piece.path] = None
            else:
                _put(fields, piece.path, piece.value)
        if cursor.peek():
            return _MANY_VALUES
    except StreamError:
        if not found:
            raise
    if len(found) > 1:
        names = [".".join(path) for path in found]
        raise StreamError(
            f"an object with the lists {names}", "one list of records", "keep one of them, or name the --format"
        )
    return Outline(next(iter(found), None), fields, is_one_record=not found)


def _put(fields: dict[str, Any], path: _Path, value: Any) -> None:
    *outer, last = path
    for key in outer:
        fields = fields.setdefault(key, {})
    fields[last] = value


def read_records(stream: BinaryIO, list_path: _Path | None) -> Iterator[tuple[Any, int]]:
    """Yield the elements of lists and the objects of a file, with their lengths in characters.

    Parameters
    ----------
    stream : binary stream
    list_path : tuple of str, optional
        Path of an object's list of records (see `read_outline`). Without it, objects are records.

    Raises
    ------
    StreamError
        If the text is not JSON. Records before the damage have been yielded by then.
    """
    cursor = JsonCursor(stream)
    while cursor.peek():
        if cursor.expect("{[") == "[":
            yield from _elements(cursor)
        elif list_path is None:
            yield cursor.value()
        else:
            for piece in _walk(cursor, {list_path}):
                if piece.in_list and piece.length:
                    yield piece.value, piece.length


class _Piece(NamedTuple):
    """A field of an object, or an element of a list; the beginning of a list has the length 0."""

    path: _Path
    value: Any
    length: int
    in_list: bool


def _walk(cursor: JsonCursor, lists: set[_Path], at: _Path = ()) -> Iterator[_Piece]:
    """Yield the contents of an object: named lists as single elements, other values whole."""
    for key in _keys(cursor):
        path = (*at, key)
        if path in lists and cursor.peek() == "[":
            yield _Piece(path, None, 0, in_list=True)
            for value, length in _elements(cursor):
                yield _Piece(path, value, length, in_list=True)
        elif cursor.peek() == "{" and any(one[: len(path)] == path for one in lists):
            yield _Piece(path, {}, 0, in_list=False)
            yield from _walk(cursor, lists, path)
        else:
            yield _Piece(path, *cursor.value(), in_list=False)


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
