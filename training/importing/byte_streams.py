"""Open a file as a stream of plain bytes, and decompress it if necessary.

Errors of gzip, zlib, zstandard and the operating system are mapped to `StreamError` here and nowhere else.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from router_model.training.importing.problems import StreamError

CHUNK_BYTES: Final = 16 * 1024
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
"""A longer record is refused, so that one missing line end cannot fill the memory."""

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_MAGIC: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_FOREIGN: Final = {
    b"PK\x03\x04": ("a zip file (or an Excel file, which is one)", "unpack it, or save it as CSV"),
    b"\xfd7zXZ": ("data compressed by xz", "decompress it, as with xz -d"),
    b"BZh": ("data compressed by bzip2", "decompress it, as with bzip2 -d"),
    b"PAR1": ("a Parquet file", "rename it, to .parquet"),
    b"SQLite format 3": ("an SQLite database", "export its table, as with sqlite3 -csv -header"),
    b"%PDF": ("a PDF", "export the data as a text format"),
    b"<!doctype html": ("a page of HTML, as of a login", "download the file itself"),
    b"<html": ("a page of HTML, as of a login", "download the file itself"),
}
"""First bytes of files that are no text to import: what they are, and what to do."""
_HEAD_BYTES: Final = 64


class _ZstdReader(io.RawIOBase):
    """Reads zstandard frames one after another.

    `zstandard`'s own reader takes a truncated file for a complete one; this reader raises an error.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._ready = b""
        self._unused = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not self._ready:
            chunk = self._unused or self._raw.read(CHUNK_BYTES)
            self._unused = b""
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the last frame is not complete")
                return 0
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = frame.decompress(chunk)
            self._unused = frame.unused_data if frame.eof else b""
            self._frame = None if frame.eof else frame
        n_bytes = min(len(buffer), len(self._ready))
        buffer[:n_bytes], self._ready = self._ready[:n_bytes], self._ready[n_bytes:]
        return n_bytes


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the errors of damaged files into `StreamError`."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, EOFError) as exc:
        raise StreamError(
            f"damaged compressed data ({exc})", "a complete .gz or .zst file", "fetch or compress it again"
        ) from exc
    except OSError as exc:
        raise StreamError(
            f"an error of the system ({exc.strerror or exc})",
            "a readable file",
            "check the file and its permissions",
        ) from exc


@contextmanager
def open_bytes(path: Path, compression: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file for reading, decompress it and skip a UTF-8 byte order mark.

    Yields
    ------
    (plain, raw) : two binary streams
        The decompressed content, and the file itself, whose position shows the progress.

    Raises
    ------
    StreamError
        If the file cannot be opened, is damaged at its beginning or does not hold text in UTF-8.
    """
    with mapped_errors():
        raw = path.open("rb")
    with raw:
        plain = _decompressed(raw, _compression_of(raw, compression))
        with mapped_errors():
            head = plain.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        _check_text(head)
        if head.startswith(_UTF8_BOM):
            plain.read(len(_UTF8_BOM))
        yield cast("BinaryIO", plain), raw


def _check_text(head: bytes) -> None:
    """Raise an error if the first bytes of a file show that it is no text in UTF-8."""
    for magic, (got, advice) in _FOREIGN.items():
        if head.lstrip().lower().startswith(magic.lower()):
            raise StreamError(got, "text: CSV, JSON or JSON lines", advice)
    if head.startswith(_UTF16_BOMS):
        encoding, got = "UTF-16", "the byte order mark of UTF-16"
    elif head.count(0) >= max(len(head) // 4, 2):  # every second byte of Latin letters is 0
        encoding, got = ("UTF-16BE" if head[:1] == b"\0" else "UTF-16LE"), "text that looks like UTF-16"
    else:
        return
    raise StreamError(got, "text in UTF-8", f"convert it, as with iconv -f {encoding} -t UTF-8")


def _compression_of(raw: io.BufferedReader, named: str) -> str:
    """Return the compression that a file's first bytes show, else the one it is named for.

    Programs that fetch files may decompress them and keep the name, or compress them under the old name.
    """
    with mapped_errors():
        head = raw.peek(4)
    if head[:1] in (b"{", b"["):
        return ""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), named)


def _decompressed(raw: BinaryIO, compression: str) -> io.BufferedReader:
    if compression == ".gz":
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=raw)), CHUNK_BYTES * 8)
    if compression == ".zst":
        return io.BufferedReader(_ZstdReader(raw), CHUNK_BYTES * 8)
    return cast("io.BufferedReader", raw)


def read_lines(plain: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their ends.

    Raises
    ------
    StreamError
        If the stream is damaged, or a line is longer than `MAX_RECORD_BYTES`.
    """
    with mapped_errors():
        while line := plain.readline(MAX_RECORD_BYTES + 1):
            if len(line) > MAX_RECORD_BYTES:
                raise StreamError(
                    f"a line longer than {MAX_RECORD_BYTES:,} bytes",
                    "one record per line",
                    "check the line ends and that it is the format its suffix says",
                )
            yield line
