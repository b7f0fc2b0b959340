"""Outcome tables in several Parquet files: a folder, a glob pattern, or either at a URI that fsspec knows.

The partitions of a table are all its Parquet files, in the order of their names. Sub-folders such as ``day=2026-11-29``
count, too, so an archive of a decision log (``router-model log archive``) is such a table. Workers read partitions on
their own, so a path must lead to the same files everywhere.
"""

import io
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from router_model.errors import TableError
from router_model.training.distributed.engine import spread
from router_model.training.distributed.places import files_at, is_pattern, is_uri, read_bytes


def is_partitioned(table: Any) -> bool:
    """Return whether a table is given by a folder, a pattern or a URI.

    >>> is_partitioned("s3://bucket/outcomes"), is_partitioned("days/*.parquet"), is_partitioned("outcomes.parquet")
    (True, True, False)
    """
    if not isinstance(table, str | Path):
        return False
    name, path = str(table), Path(table)
    return is_uri(name) or path.is_dir() or (is_pattern(name) and not path.exists())


def partitions_of(table: str | Path) -> list[str]:
    """Return the paths or URIs of a table's files, sorted; hidden and unfinished files are left out.

    Raises
    ------
    TableError
        If there are none, or the place cannot be reached.
    """
    name, path = str(table), Path(table)
    if is_uri(name):
        parts = files_at(name, (".parquet",))
    elif path.is_dir():
        parts = _named(path.rglob("*.parquet"))
    else:
        parts = _named(Path(path.anchor or ".").glob(name.removeprefix(path.anchor)))
    if not parts:
        raise TableError(
            f"{name}: no Parquet file in it; expected the partitions of an outcome table. 'router-model import' makes "
            "a table of other files"
        )
    return parts


def _named(paths: Iterable[Path]) -> list[str]:
    return sorted(str(path) for path in paths if path.suffix == ".parquet" and not path.name.startswith("."))


def read_partition(part: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Read those of some columns that a partition has.

    Raises
    ------
    TableError
        If it is no readable Parquet file, or is not there.
    OSError
        If it cannot be reached, which may pass.
    """
    try:
        source = io.BytesIO(read_bytes(part)) if is_uri(part) else Path(part)
        there = pl.read_parquet_schema(source)
        return pl.read_parquet(source, columns=[name for name in there if name in columns], glob=False)
    except pl.exceptions.PolarsError as exc:
        raise TableError(f"{part}: not a readable Parquet file ({exc})") from exc
    except FileNotFoundError as exc:
        raise TableError(f"{part}: not found where it was to be read; name a place that every worker reaches") from exc


def n_rows_of(part: str) -> int:
    """Count the rows of a partition, or of any Parquet file; one at a URI is fetched for it."""
    source = io.BytesIO(read_bytes(part)) if is_uri(part) else Path(part)
    return int(pl.scan_parquet(source, glob=False).select(pl.len()).collect().item())


def sha256_of_partitions(table: str | Path) -> str:
    """Return the hash of all partitions' hashes, computed where partitions are read."""
    digests = spread(_digest, None, partitions_of(table))
    return sha256("\n".join(digests).encode()).hexdigest()


def _digest(_: None, part: str) -> str:
    return sha256(read_bytes(part)).hexdigest()
