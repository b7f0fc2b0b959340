"""Read CSV files as records: each field stays text and is named by the header.

The delimiter (comma, semicolon, tab or bar) is found by counting these characters in the header only. A line before
the header may name it, as Excel writes (``sep=;``). Quotes are read strictly. So a stray quote is an error, and cannot
make a record swallow the records after it.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from router_model.training.importing.byte_streams import MAX_RECORD_BYTES, read_lines
from router_model.training.importing.items import Item, Record, Unreadable, encoding_problem
from router_model.training.importing.problems import Problem, StreamError

_DELIMITERS: Final = ",;\t|"
_NAMED_DELIMITER: Final = re.compile(rb"\"?sep=([,;\t|])\"?\s*", re.IGNORECASE)


class _Lines:
    """An iterator of decoded lines for `csv.reader` that remembers the lines of the current record."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.taken: list[str] = []
        self.encoding_error: UnicodeDecodeError | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as exc:
            self.encoding_error = exc
            # Bad bytes become surrogates, so that their column can be found after the line is split.
            text = line.decode("utf-8", errors="surrogateescape")
        self.taken.append(text)
        return text

    def begin_record(self) -> None:
        self.taken = []
        self.encoding_error = None

    def raw(self) -> str:
        text = "".join(self.taken).rstrip("\r\n")
        return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="backslashreplace")


def read_csv(stream: BinaryIO) -> Iterator[Item]:
    """Yield the records of a CSV file, each with the line on which it begins; the header is line 1.

    Raises
    ------
    StreamError
        If the header is unusable or the stream damaged.
    """
    # The limit holds for the whole process. Its default of 131,072 characters is shorter than a long prompt.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    binary = read_lines(stream)
    header_line = next(binary, b"")
    named = _NAMED_DELIMITER.fullmatch(header_line)
    n_before = 1 if named else 0
    if named:
        header_line = next(binary, b"")
    if header_line.lstrip().startswith((b"{", b"[")):
        raise StreamError("JSON", "CSV, as the file is named", "rename it, as to .jsonl")
    lines = _Lines(_chain(header_line, binary))
    delimiter = named[1].decode() if named else delimiter_of(header_line)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    names = _header(rows, lines)
    while True:
        lines.begin_record()
        begin = rows.line_num + 1 + n_before
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as exc:
            problem = Problem(0, "", f"broken CSV ({exc})", "fields whose quotes are closed", _QUOTE_ADVICE)
            yield Unreadable(begin, problem, lines.raw())
            continue
        if fields:
            yield _item(begin, names, fields, lines)


_QUOTE_ADVICE: Final = 'close the quote and write a quote inside a quoted field twice ("")'


def delimiter_of(header: bytes) -> str:
    r"""Return the most common of comma, semicolon, tab and bar; a comma if there is none.

    >>> delimiter_of(b"prompt;model;quality\n"), delimiter_of(b"prompt\tmodel"), delimiter_of(b"prompt")
    (';', '\t', ',')
    """
    return max(_DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _header(rows: "Iterator[list[str]]", lines: _Lines) -> list[str]:
    try:
        fields = next(rows, [])
    except csv.Error as exc:
        if "\r" in lines.raw() and "new-line" in str(exc):
            raise StreamError("lines that end with CR alone", "LF or CR LF", "convert them: tr '\\r' '\\n'") from exc
        raise StreamError(f"a broken header ({exc})", "the names of the columns", _QUOTE_ADVICE) from exc
    if lines.encoding_error is not None:
        problem = encoding_problem("", lines.encoding_error)
        raise StreamError(problem.got, problem.expected, problem.advice)
    names = [field.strip() or f"column_{number}" for number, field in enumerate(fields, start=1)]
    if not any(field.strip() for field in fields):
        raise StreamError("an empty first line", "a header with the names of the columns", "add the header")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise StreamError(f"the column {repeated[0]!r} twice", "each column once", "rename or remove one of the two")
    return names


def _item(row: int, names: Sequence[str], fields: Sequence[str], lines: _Lines) -> Item:
    n_bytes = sum(map(len, fields))
    problem = None
    if len(fields) != len(names):
        problem = Problem(
            0,
            "",
            f"{len(fields)} fields",
            f"{len(names)} as in the header",
            "quote fields that hold the delimiter",
        )
    elif lines.encoding_error is not None:
        column = next(name for name, field in zip(names, fields, strict=True) if _has_bad_bytes(field))
        problem = encoding_problem(column, lines.encoding_error)
    if problem is not None:
        return Unreadable(row, problem, lines.raw(), n_bytes)
    return Record(row, dict(zip(names, fields, strict=True)), n_bytes)


def _has_bad_bytes(field: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in field)
