"""Outcome tables in several Parquet files: a folder, a glob pattern, or either at a URI that fsspec knows.

The partitions of a table are all its Parquet files, in the order of their names. Sub-folders such as ``day=2026-11-29``
count, too, so an archive of a decision log (``router-model log archive``) is such a table. Workers read partitions on
their own, so a path must lead to the same files everywhere.
"""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.errors import TableError
from router_model.training.distributed.engine import spread

_PATTERN: Final = frozenset("*?[")


def is_partitioned(table: Any) -> bool:
    """Return whether a table is given by a folder, a pattern or a URI.

    >>> is_partitioned("s3://bucket/outcomes"), is_partitioned("days/*.parquet"), is_partitioned("outcomes.parquet")
    (True, True, False)
    """
    if not isinstance(table, str | Path):
        return False
    return (
        "://" in str(table) or Path(table).is_dir() or (bool(_PATTERN & set(str(table))) and not Path(table).exists())
    )


def partitions_of(table: str | Path) -> list[str]:
    """Return the paths or URIs of a table's files, sorted; hidden and unfinished files are left out.

    Raises
    ------
    TableError
        If there are none, or the place cannot be reached.
    """
    name = str(table)
    if "://" in name:
        files, root = _file_system(name)
        try:
            found = files.glob(root) if _PATTERN & set(root) else files.find(root)
        except OSError as exc:
            raise TableError(f"{name}: cannot be reached ({type(exc).__name__}: {exc})") from exc
        parts = [files.unstrip_protocol(path) for path in found]
    elif Path(name).is_dir():
        parts = [str(path) for path in Path(name).rglob("*.parquet")]
    else:
        parts = [str(path) for path in Path(Path(name).anchor or ".").glob(name.removeprefix(Path(name).anchor))]
    kept = sorted(part for part in parts if part.endswith(".parquet") and not part.rpartition("/")[2].startswith("."))
    if not kept:
        raise TableError(
            f"{name}: no Parquet file in it; expected the partitions of an outcome table. 'router-model import' makes "
            "a table of other files"
        )
    return kept


def read_partition(part: str, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Read a partition, or those of some columns that it has.

    Raises
    ------
    TableError
        If it is no readable Parquet file.
    OSError
        If it cannot be reached, which may pass.
    """
    try:
        source = io.BytesIO(partition_bytes(part)) if "://" in part else Path(part)
        there = pl.read_parquet_schema(source)
        kept = [name for name in there if columns is None or name in columns]
        return pl.read_parquet(source, columns=kept, glob=False)
    except pl.exceptions.PolarsError as exc:
        raise TableError(f"{part}: not a readable Parquet file ({exc})") from exc
    except FileNotFoundError as exc:
        raise TableError(f"{part}: not found where it was to be read; name a place that every worker reaches") from exc


def partition_bytes(part: str) -> bytes:
    """Return the content of a partition."""
    if "://" not in part:
        return Path(part).read_bytes()
    files, path = _file_system(part)
    data: bytes = files.cat_file(path)
    return data


def sha256_of_partitions(table: str | Path) -> str:
    """Return the hash of all partitions' hashes, computed where partitions are read."""
    digests = spread(_digest, None, partitions_of(table))
    return sha256("\n".join(digests).encode()).hexdigest()


def _digest(_: None, part: str) -> str:
    return sha256(partition_bytes(part)).hexdigest()


def _file_system(uri: str) -> tuple[Any, str]:
    try:
        import fsspec  # noqa: PLC0415  (only URIs need it)
    except ImportError as exc:
        raise TableError(f"{uri} needs fsspec: pip install 'router-model[s3]', or fsspec and its package") from exc
    try:
        files, root = fsspec.url_to_fs(uri)
    except (ImportError, ValueError) as exc:
        raise TableError(f"{uri}: {exc}. For s3://: pip install 'router-model[s3]'") from exc
    return files, root
