"""Read zip files whose members are JSON objects, with one record in each."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import zstandard

from router_model.training.importing.byte_streams import MAX_RECORD_BYTES, mapped_errors
from router_model.training.importing.items import Item, Unreadable, record_of
from router_model.training.importing.layout import Archive
from router_model.training.importing.problems import StreamError


def read_archive(path: Path, archive: Archive) -> Iterator[Item]:
    """Yield the records of a zip file, its numbered members in the order of their numbers.

    Raises
    ------
    StreamError
        If the file is not a complete zip file, or a member cannot be read.
    """
    with mapped_errors(), _mapped_zip_errors(), zipfile.ZipFile(path) as file:
        names = file.namelist()
        context_name = next((name for name in archive.context if name in names), None)
        context = {} if context_name is None else _object_of(file, context_name)
        members = sorted((name for name in names if re.fullmatch(archive.records, name)), key=_by_numbers)
        for row, name in enumerate(members, start=1):
            info = file.getinfo(name)
            try:
                value = _value_of(file, name)
            except StreamError as exc:
                yield Unreadable(row, exc.problem, n_bytes=info.file_size)
            else:
                yield record_of(row, value, info.file_size, context)


_ZSTANDARD: Final = 93
"""The number of zstandard compression in zip files. inspect-ai uses it; Python's zipfile knows it only from 3.14 on."""

_LOCAL_HEADER_BYTES: Final = 30


def _zstd_bytes(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    stream = file.fp
    if stream is None:
        raise StreamError("an archive that was closed", "an open one", "import it again")
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER_BYTES)
    # the lengths of the name and of the extra field, which stand between the header and the data
    lengths = header[26:28], header[28:30]
    stream.seek(sum(int.from_bytes(length, "little") for length in lengths), 1)
    packed = stream.read(info.compress_size)
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def _object_of(file: zipfile.ZipFile, name: str) -> dict[str, Any]:
    value = _value_of(file, name)
    if not isinstance(value, dict):
        raise StreamError(f"no object in the member {name!r}", "a JSON object there", "write or fetch it again")
    return value


def _value_of(file: zipfile.ZipFile, name: str) -> Any:
    info = file.getinfo(name)
    if info.file_size > MAX_RECORD_BYTES:
        raise StreamError(f"the member {name!r} longer than {MAX_RECORD_BYTES:,} bytes", "shorter ones", "leave it out")
    try:
        return json.loads(_zstd_bytes(file, info) if info.compress_type == _ZSTANDARD else file.read(name))
    except (ValueError, RecursionError) as exc:
        raise StreamError(
            f"broken JSON in the member {name!r} ({exc})", "a JSON object", "write or fetch it again"
        ) from exc


@contextmanager
def _mapped_zip_errors() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as exc:
        # zipfile raises RuntimeError for encrypted members and NotImplementedError for other compressions.
        raise StreamError(
            f"an archive that cannot be opened ({exc})",
            "a complete zip file",
            "write it again as JSON, or fetch it again",
        ) from exc


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """Order names by the numbers in them: 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
