"""Rows as Parquet files: the same fields, with JSON as text."""

from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from router_model.serving.decision_log.rows import FIELDS, WHOLE_TEXTS, FieldType, Kind, Row, json_bytes

_POLARS_TYPES: Final[dict[FieldType, pl.DataType]] = {
    FieldType.TEXT: pl.String(),
    FieldType.NUMBER: pl.Float64(),
    FieldType.COUNT: pl.Int64(),
    FieldType.FLAG: pl.Boolean(),
    FieldType.TIME: pl.Datetime("us", "UTC"),
    FieldType.JSON: pl.String(),
}
SCHEMAS: Final = {kind: {name: _POLARS_TYPES[of] for name, of in names.items()} for kind, names in FIELDS.items()}
"""Columns of each kind's files."""
_JSON_FIELDS: Final = {
    kind: [name for name, of in names.items() if of is FieldType.JSON] for kind, names in FIELDS.items()
}
_ROWS_A_PART: Final = 20_000
_CHARS_A_PART: Final = 64_000_000


def frame_of(kind: Kind, rows: Sequence[Row]) -> pl.DataFrame:
    """Return rows as a frame."""
    columns = {name: [row.get(name) for row in rows] for name in SCHEMAS[kind]}
    for name in _JSON_FIELDS[kind]:
        columns[name] = [None if value is None else json_bytes(value).decode() for value in columns[name]]
    return pl.DataFrame(columns, schema=SCHEMAS[kind])


def rows_of(kind: Kind, frame: pl.DataFrame) -> list[Row]:
    """Return a frame as rows."""
    rows = frame.to_dicts()
    for row in rows:
        row |= {name: orjson.loads(row[name]) for name in _JSON_FIELDS[kind] if row.get(name) is not None}
    return rows


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    file = BytesIO()
    frame.write_parquet(file, compression="zstd")
    return file.getvalue()


def scan(kind: Kind, files: Sequence[Path | BytesIO]) -> pl.LazyFrame:
    """Read files of one kind lazily; columns that a version did not know yet are null."""
    if not files:
        return pl.LazyFrame(schema=SCHEMAS[kind])
    sources: Any = list(files)
    return pl.scan_parquet(sources, glob=False, schema=SCHEMAS[kind], missing_columns="insert", extra_columns="ignore")


async def write_parts(kind: Kind, rows: AsyncIterator[Row], folder: Path) -> list[Path]:
    """Write rows into Parquet files of bounded size."""
    files: list[Path] = []
    part: list[Row] = []
    n_chars = 0
    long_texts = WHOLE_TEXTS[kind]

    def write() -> None:
        files.append(folder / f"{kind}-{len(files):06d}.parquet")
        frame_of(kind, part).write_parquet(files[-1], compression="lz4")
        part.clear()

    async for row in rows:
        part.append(row)
        n_chars += sum(len(row.get(name) or "") for name in long_texts)
        if len(part) >= _ROWS_A_PART or n_chars >= _CHARS_A_PART:
            write()
            n_chars = 0
    if part:
        write()
    return files
