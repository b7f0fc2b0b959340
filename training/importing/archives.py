"""Zip files whose members are JSON objects, one record each."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from training.importing.byte_streams import MAX_RECORD_BYTES, mapped_errors
from training.importing.items import Item, Unreadable, record_of
from training.importing.layout import Archive
from training.importing.problems import StreamError


def read_archive(path: Path, archive: Archive) -> Iterator[Item]:
    """Yield the records of a zip file, its numbered members in the order of their numbers.

    Raises
    ------
    StreamError
        If the file is no complete zip file, or a member cannot be read.
    """
    with mapped_errors(), _mapped_zip_errors(), zipfile.ZipFile(path) as file:
        names = file.namelist()
        context_name = next((name for name in archive.context if name in names), None)
        context = {} if context_name is None else _object_of(file, context_name)
        members = sorted((name for name in names if fnmatchcase(name, archive.records)), key=_by_numbers)
        for row, name in enumerate(members, start=1):
            info = file.getinfo(name)
            try:
                value = _value_of(file, name)
            except StreamError as exc:
                yield Unreadable(row, exc.problem, n_bytes=info.file_size)
            else:
                yield record_of(row, value, info.file_size, context)


def _object_of(file: zipfile.ZipFile, name: str) -> dict[str, Any]:
    value = _value_of(file, name)
    if not isinstance(value, dict):
        raise StreamError(f"no object in the member {name!r}", "a JSON object there", "write or fetch it again")
    return value


def _value_of(file: zipfile.ZipFile, name: str) -> Any:
    if file.getinfo(name).file_size > MAX_RECORD_BYTES:
        raise StreamError(f"the member {name!r} longer than {MAX_RECORD_BYTES:,} bytes", "shorter ones", "leave it out")
    try:
        return json.loads(file.read(name))
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
