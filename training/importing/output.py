"""Write the files of an import: the table, and the file of rejected rows beside it.

All files are written into a hidden folder beside the table, and moved into place at the end. So an interrupted import
leaves no files, and an earlier table stays until the new one is complete.
"""

import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from router_model.errors import TableError
from router_model.outcome_schema import SCHEMA_VERSION
from router_model.training.importing.opponents import corrected
from router_model.training.importing.values import safe_json

_ROWS_A_GROUP = 20_000
_AVERAGED = frozenset({"quality", "input_tokens", "output_tokens", "cost_usd", "latency_s"})
VERSION_KEY = "router_model.schema_version"


def check_table_name(out: Path) -> None:
    """Refuse a name that no table can be written to.

    Raises
    ------
    TableError
        If it does not end in .parquet, is a folder, or is in a folder that does not exist.
    """
    if out.suffix != ".parquet":
        raise TableError(f"{out}: got a table ending in {out.suffix!r}, expected '.parquet'; change the name")
    if out.is_dir():
        raise TableError(f"{out}: got a folder, expected a file to write; name one in it")
    if not out.parent.is_dir():
        raise TableError(
            f"{out}: got a folder that does not exist, expected a file to write in a folder that exists; make "
            f"{out.parent}, or name another"
        )


def write_table(table: pl.DataFrame, out: Path, *, is_private: bool = False) -> None:
    """Write a finished table in the form of an import's; an earlier file stays until the new one is complete.

    Parameters
    ----------
    is_private : bool, default False
        Whether only its owner may read it, as with answers.

    Raises
    ------
    TableError
        If it cannot be written.
    """
    write_whole(table, out, is_private=is_private, metadata={VERSION_KEY: str(SCHEMA_VERSION)})


def write_whole(
    table: pl.DataFrame, out: Path, *, is_private: bool = False, metadata: dict[str, str] | None = None
) -> None:
    """Write a Parquet file whose earlier version stays until the new one is complete; otherwise as `write_table`."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)  # one that a kill has left has the rights of that time
        unfinished.touch(mode=0o600 if is_private else 0o666)
        table.write_parquet(unfinished, metadata=metadata)
        unfinished.replace(out)
    except OSError as exc:
        raise TableError(
            f"{out}: cannot be written ({exc.strerror or exc}); check the folder and its free space, and give the "
            "same command again"
        ) from exc
    finally:
        unfinished.unlink(missing_ok=True)


def rejects_path(out: Path) -> Path:
    """Return the path of the rejects file of an import into `out`.

    >>> rejects_path(Path("tables/may.parquet")).as_posix()
    'tables/may.rejects.jsonl'
    """
    return out.with_name(f"{out.stem}.rejects.jsonl")


def is_own_table(path: Path) -> bool:
    """Whether a file is a table that an import wrote."""
    if path.suffix.lower() != ".parquet":
        return False
    try:
        return VERSION_KEY in pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError):
        return False  # reading the file will report the problem


class _Part(NamedTuple):
    """A part of the table in a file.

    Attributes
    ----------
    path : Path
    first : int
        Number of its first row in the table.
    removed : list of int
        Rows of the part that will be removed.
    are_votes : bool
        Whether the rows are votes between two models.
    """

    path: Path
    first: int
    removed: list[int]
    are_votes: bool

    def rewrite(self) -> None:
        """Write the part again without the removed rows."""
        if self.removed:
            frame = pl.read_parquet(self.path)
            kept = pl.Series([True]).new_from_index(0, frame.height).scatter(self.removed, values=False)
            frame.filter(kept).write_parquet(self.path, compression="lz4", statistics=False)


class TableOutput:
    """Collects checked batches and rejects; their files appear only with `finish`.

    Attributes
    ----------
    folder : Path
        A hidden folder beside the table, removed at the end.
    n_rows, n_rejected, n_with_quality : int
    models : set of str
    """

    def __init__(self, out: Path, folder: Path) -> None:
        self._out = out
        self.folder = folder
        self._parts: list[_Part] = []
        self._repeats: list[_Part] = []
        self._rejects = folder / "rejects.jsonl"
        self._n_added = 0
        self.n_rows = 0
        self.n_rejected = 0
        self.n_with_quality = 0
        self.models: set[str] = set()

    def add(self, frame: pl.DataFrame, *, are_votes: bool = False) -> None:
        """Add a checked batch as a part of the table.

        Parameters
        ----------
        frame : polars.DataFrame
        are_votes : bool, default False
            Whether the rows are votes between two models; they are corrected for the opponents' strength.
        """
        if frame.is_empty():
            return
        self._parts.append(self._write("part", len(self._parts), frame, are_votes=are_votes))
        self._n_added += frame.height
        self.n_rows += frame.height
        self.n_with_quality += frame["quality"].count()
        self.models.update(frame["model"].unique())

    def add_repeats(self, frame: pl.DataFrame, *, are_votes: bool = False) -> None:
        """Add further answers of models that already have a row for the prompt; they are averaged into it."""
        if not frame.is_empty():
            self._repeats.append(self._write("repeats", len(self._repeats), frame, are_votes=are_votes))

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove rows without a quality from the table; rows are numbered from 0 in the order they were added."""
        for number in numbers:
            part = self._parts[bisect_right(self._parts, number, key=lambda part: part.first) - 1]
            part.removed.append(number - part.first)
            self.n_rows -= 1

    def _write(self, kind: str, number: int, frame: pl.DataFrame, *, are_votes: bool) -> "_Part":
        part = _Part(self.folder / f"{kind}-{number:06d}.parquet", self._n_added, [], are_votes)
        frame.write_parquet(part.path, compression="lz4", statistics=False)
        return part

    def reject(self, entries: list[dict[str, Any]]) -> None:
        """Add entries to the rejects file."""
        with self._rejects.open("a", encoding="utf-8") as file:
            file.writelines(f"{_entry_json(entry)}\n" for entry in entries)
        self.n_rejected += len(entries)

    def finish(self) -> Path | None:
        """Merge the parts and move the files into place; return the rejects file, if there is one."""
        merged = self.folder / "table.parquet"
        for part in self._parts:
            part.rewrite()
        self._merged().sink_parquet(
            merged,
            row_group_size=_ROWS_A_GROUP,
            metadata={VERSION_KEY: str(SCHEMA_VERSION)},
        )
        rejects = self.keep_rejects()
        merged.replace(self._out)
        return rejects

    def _merged(self) -> pl.LazyFrame:
        """Return all parts as one table with one row for each prompt and model."""
        parts = (*self._parts, *self._repeats)
        votes = [part.path for part in parts if part.are_votes]
        others = [part.path for part in parts if not part.are_votes]
        tables = [pl.scan_parquet(others, glob=False)] if others else []
        tables += [corrected(pl.scan_parquet(votes, glob=False))] if votes else []
        table = pl.concat(tables)
        return averaged(table) if self._repeats else table

    def keep_rejects(self) -> Path | None:
        """Move the rejects file into place, or remove that of an earlier run if nothing was rejected."""
        target = rejects_path(self._out)
        if not self.n_rejected:
            target.unlink(missing_ok=True)
            return None
        self._rejects.replace(target)
        return target


def averaged(table: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row for each prompt and model, with means of the numbers and other values from the first row.

    >>> rows = {"prompt_id": ["p", "p"], "model": ["m", "m"], "quality": [1.0, 0.0], "input_tokens": [8, 9],
    ...         "output_tokens": [1, 2], "cost_usd": [None, 0.5], "latency_s": [1.0, 2.0], "task": ["t", "u"]}
    >>> averaged(pl.LazyFrame(rows)).collect().rows()
    [('p', 'm', 0.5, 8, 2, 0.5, 1.5, 't')]
    """
    columns = table.collect_schema()
    values = [pl.col(name).mean() if name in _AVERAGED else pl.col(name).first() for name in columns]
    groups = table.group_by("prompt_id", "model", maintain_order=True).agg(
        value for name, value in zip(columns, values, strict=True) if name not in {"prompt_id", "model"}
    )
    counts = [name for name, dtype in columns.items() if name in _AVERAGED and dtype.is_integer()]
    return groups.with_columns(pl.col(name).round().cast(columns[name]) for name in counts).select(columns.names())


def _entry_json(entry: dict[str, Any]) -> str:
    try:
        return safe_json(entry)
    except RecursionError:
        # The value was shallow enough to be read, but is too deep to be written inside an entry.
        return safe_json(entry | {"record": "nested too deeply to be shown here; see the file and row"})


@contextmanager
def open_output(out: Path) -> Iterator[TableOutput]:
    """Make a hidden folder beside `out` to write into; it is always removed afterwards.

    Raises
    ------
    TableError
        If the folder cannot be written to.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield TableOutput(out, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as exc:
        raise TableError(
            f"{out}: got an error of the system ({exc.strerror or exc}), expected to write there; "
            "check the folder, its permissions and the space left"
        ) from exc
