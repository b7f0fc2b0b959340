"""Tables as people have them in Python: the path of a file, or a frame of polars, pandas or any other Arrow library."""

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from router_model.errors import TableError
from router_model.training.distributed.partitions import is_partitioned, sha256_of_partitions
from router_model.training.files import file_sha256
from router_model.training.importing.frames import series_of

Table: TypeAlias = Any
"""A path of a file or of partitions, a frame of polars or pandas, anything with ``__arrow_c_stream__``, or a mapping
from names to values."""

_FRAME: Final = "the frame"


def is_path(table: Table) -> bool:
    """Return whether a table is given by its path."""
    return isinstance(table, str | Path)


def name_of(table: Table) -> str:
    """Return what messages call a table."""
    return str(table) if is_path(table) else _FRAME


def as_frame(table: Table) -> pl.DataFrame:
    """Return a frame of any library as one of polars.

    Messages and other nested values become JSON, as files store them. Missing values become null.

    Raises
    ------
    TableError
        If it is nothing that has columns.

    Examples
    --------
    >>> as_frame({"model": ["a"], "messages": [[{"role": "user", "content": "Hi"}]]}).row(0)
    ('a', '[{"role": "user", "content": "Hi"}]')
    """
    if isinstance(table, pl.LazyFrame):
        return as_frame(table.collect())
    if isinstance(table, Mapping) or _is_pandas(table):
        return pl.DataFrame([_series(str(name), table[name]) for name in table.keys()])  # noqa: SIM118  (pandas, too)
    if not isinstance(table, pl.DataFrame) and not hasattr(table, "__arrow_c_stream__"):
        raise TableError(
            f"got {type(table).__name__} as a table; expected the path of a Parquet file, a frame of polars or pandas, "
            "an Arrow table, or a dict of columns"
        )
    frame = pl.DataFrame(table)
    return frame.with_columns(_series(each.name, each.to_list()) for each in frame if each.dtype.is_nested())


def sha256_of(table: Table) -> str:
    """Return the hash of a file's bytes, of partitions' hashes, or of a frame as Arrow's file format has it."""
    if is_partitioned(table):
        return sha256_of_partitions(table)
    if is_path(table):
        return file_sha256(Path(table))
    written = io.BytesIO()
    as_frame(table).rechunk().write_ipc(written)
    return hashlib.sha256(written.getbuffer()).hexdigest()


def _is_pandas(table: Table) -> bool:
    """Whether it is pandas' frame, which may hold columns of mixed values: Arrow has no type for them."""
    return type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "keys")


def _series(name: str, values: Any) -> pl.Series:
    gone = values.isna() if hasattr(values, "isna") else [_is_nan(value) for value in values]
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    plain = [None if missing else _plain(value) for value, missing in zip(listed, gone, strict=True)]
    if any(isinstance(value, datetime) for value in plain):
        return pl.Series(name, plain, strict=False)
    return series_of(name, plain)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124  (the test of NaN)


def _plain(value: Any) -> Any:
    """Return nested values as JSON, and another library's time as one of Python."""
    if isinstance(value, list | dict | tuple):
        return json.dumps(_without_nulls(value), ensure_ascii=False, default=str)
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value


def _without_nulls(value: Any) -> Any:
    """Leave out fields that are null: Arrow gives every message all fields of any message."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None or name == "content"}
    return [_without_nulls(part) for part in value] if isinstance(value, list | tuple) else value
