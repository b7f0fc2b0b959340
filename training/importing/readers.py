"""Read files as source records, one at a time, each with the row that it stands in.

Readers do not interpret records: a record is a dictionary of what the file says. If a record cannot be read, the reader
yields `Unreadable` and goes on. If the rest of the file cannot be read, the last item says so. Rows count from 1. A row
is a line of a text file (the header of a CSV file is line 1, and a record has the line on which it begins), an element
of a JSON list, a row of a Parquet file, or a member of an archive.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from router_model.training.importing.archives import read_archive
from router_model.training.importing.byte_streams import open_bytes, read_lines
from router_model.training.importing.csv_reader import read_csv
from router_model.training.importing.items import (
    Item,
    Record,
    Unreadable,
    encoding_problem,
    record_of,
    records_of_columns,
)
from router_model.training.importing.json_stream import read_outline, read_records
from router_model.training.importing.layout import Layout
from router_model.training.importing.problems import Problem, StreamError
from router_model.training.importing.sources import ARCHIVE_SUFFIXES, CSV_SUFFIXES, JSON_LINES_SUFFIXES, kind_of

DEFAULT_LAYOUT: Final = Layout()
_SLICE_ROWS: Final = 20_000
_SLICE_BYTES: Final = 32 * 1024 * 1024


class SourceFile:
    """A source file, which yields its records.

    Attributes
    ----------
    path : Path
    layout : Layout, optional
        The places of the records in a JSON object or an archive.
    position : int
        Number of bytes of the file read so far, for the progress.
    """

    def __init__(self, path: Path, layout: Layout = DEFAULT_LAYOUT) -> None:
        self.path = path
        self.position = 0
        self._layout = layout
        self._kind, self._compression = kind_of(path)

    def items(self) -> Iterator[Item]:
        """Yield every row of the file.

        If nothing more can be read, or the file has no records, the last item is `Unreadable` and says so.
        """
        row = 0
        try:
            for item in self._read():
                yield item
                row = item.row
        except StreamError as exc:
            yield Unreadable(row + 1, exc.problem)
        else:
            if row == 0:
                yield Unreadable(1, _empty_problem(self._kind))

    def _read(self) -> Iterator[Item]:
        if self._kind == ".parquet":
            yield from self._read_parquet()
        elif self._kind in ARCHIVE_SUFFIXES:
            yield from self._read_archive()
        elif self._kind == ".json" or (self._kind in JSON_LINES_SUFFIXES and self._is_one_document()):
            yield from self._read_json()
        else:
            read = _read_json_lines if self._kind in JSON_LINES_SUFFIXES else read_csv
            with self._open() as (stream, raw):
                for item in read(stream):
                    self.position = raw.tell()
                    yield item

    def _open(self) -> AbstractContextManager[tuple[BinaryIO, BinaryIO]]:
        return open_bytes(self.path, self._compression)

    def _is_one_document(self) -> bool:
        """Whether a file named as JSON lines holds a list, or objects written over several lines."""
        with self._open() as (stream, _):
            lines = (line.strip() for line in read_lines(stream) if not line.isspace())
            first = next(lines, b"")
            if first == b"{":
                # An object on several lines continues with a key; after a truncated line, the next record follows.
                return next(lines, b"").startswith(b'"')
        return first == b"[" or first.startswith(b"[{")

    def _read_json(self) -> Iterator[Item]:
        with self._open() as (stream, _):
            outline = read_outline(stream, self._layout.lists)
        if outline.is_one_record:
            records, size = records_of_columns(outline.fields) or [dict(outline.fields)], self.path.stat().st_size
            for row, record in enumerate(records, start=1):
                yield Record(row, record, size // len(records))
            return
        with self._open() as (stream, raw):
            for row, (value, length) in enumerate(read_records(stream, outline.list_path), start=1):
                self.position = raw.tell()
                yield record_of(row, value, length, outline.fields)

    def _read_archive(self) -> Iterator[Item]:
        archive = next((one for one in self._layout.archives if one.suffix == self._kind), None)
        if archive is None:
            raise StreamError(
                f"an archive ending in {self._kind!r}", "a file of the format named", "leave --format out"
            )
        yield from read_archive(self.path, archive)

    def _read_parquet(self) -> Iterator[Record]:
        size = self.path.stat().st_size
        with _mapped_parquet_errors():
            n_rows = pl.scan_parquet(self.path, glob=False).select(pl.len()).collect().item()
        start, n_slice = 0, _SLICE_ROWS
        while start < n_rows:
            with _mapped_parquet_errors():
                frame = pl.scan_parquet(self.path, glob=False).slice(start, n_slice).collect()
                frame = _as_texts_and_seconds(frame)
            row_bytes = max(int(frame.estimated_size()) // frame.height, 1)
            self.position = size * (start + frame.height) // n_rows
            for row, value in enumerate(frame.iter_rows(named=True), start=start + 1):
                yield Record(row, value, row_bytes)
            start += frame.height
            n_slice = min(_SLICE_ROWS, max(_SLICE_BYTES // row_bytes, 1))


def _as_texts_and_seconds(frame: pl.DataFrame) -> pl.DataFrame:
    """Decode binary columns, as older writers store texts, and give durations in seconds."""
    frame = frame.with_columns(pl.col(pl.Duration).dt.total_nanoseconds() / 1e9)
    for name in frame.select(pl.col(pl.Binary)).columns:
        try:
            frame = frame.with_columns(pl.col(name).cast(pl.String))
        except pl.exceptions.PolarsError:
            continue  # it is not text; the checks report it if the column is one of ours
    return frame


@contextmanager
def _mapped_parquet_errors() -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as exc:
        reason = str(exc).splitlines()[0]
        raise StreamError(f"damaged Parquet ({reason})", "a complete Parquet file", "write or fetch it again") from exc


def _empty_problem(kind: str) -> Problem:
    got = "a file without rows below the header" if kind in CSV_SUFFIXES else "a file without records"
    return Problem(0, "", got, "at least one", "export it again or leave the file out")


# --- JSON ------------------------------------------------------------------------------------------------


def _read_json_lines(stream: BinaryIO) -> Iterator[Item]:
    decode = json.JSONDecoder().decode
    for row, line in enumerate(read_lines(stream), start=1):
        if line.isspace():
            continue
        try:
            value = decode(line.decode("utf-8"))
        except UnicodeDecodeError as exc:
            yield Unreadable(row, encoding_problem("", exc), _as_text(line), len(line))
        except (ValueError, RecursionError) as exc:
            where = f"{exc.msg} at character {exc.pos + 1}" if isinstance(exc, json.JSONDecodeError) else str(exc)
            problem = Problem(0, "", f"broken JSON ({where})", "one JSON object per line", "mend or remove the line")
            yield Unreadable(row, problem, _as_text(line), len(line))
        else:
            yield record_of(row, value, len(line))


def _as_text(line: bytes) -> str:
    return line.decode("utf-8", errors="backslashreplace").rstrip("\r\n")
