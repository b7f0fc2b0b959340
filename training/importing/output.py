"""The files an import leaves: the table, and the rejected rows beside it.

Everything is written into a hidden folder beside the table and moved into place at the end, so that an
interrupted import leaves nothing and an earlier table stays until the new one is complete.
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
from router_model.records import SCHEMA_VERSION
from training.importing.values import safe_json

_ROWS_A_GROUP = 20_000
_VERSION_KEY = "router_model.schema_version"


def rejects_path(out: Path) -> Path:
    """Return where the rejected rows of an import into `out` go.

    >>> rejects_path(Path("tables/may.parquet")).as_posix()
    'tables/may.rejects.jsonl'
    """
    return out.with_name(f"{out.stem}.rejects.jsonl")


def is_own_table(path: Path) -> bool:
    """Whether a file is a table that an import wrote."""
    if path.suffix.lower() != ".parquet":
        return False
    try:
        return _VERSION_KEY in pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError):
        return False  # reading it tells what is wrong with it


class _Part(NamedTuple):
    """A part of the table.

    Attributes
    ----------
    path : Path
    first : int
        Number of its first row in the table.
    removed : list of int
        Rows of the part that do not stay.
    """

    path: Path
    first: int
    removed: list[int]

    def rewrite(self) -> None:
        """Write the part again without the rows that do not stay."""
        if self.removed:
            frame = pl.read_parquet(self.path)
            kept = pl.Series([True]).new_from_index(0, frame.height).scatter(self.removed, values=False)
            frame.filter(kept).write_parquet(self.path, compression="lz4", statistics=False)


class TableOutput:
    """Collects checked batches and rejects; nothing is visible before `finish`.

    Attributes
    ----------
    n_rows, n_rejected, n_with_quality : int
    models : set of str
    """

    def __init__(self, out: Path, folder: Path) -> None:
        self._out = out
        self._folder = folder
        self._parts: list[_Part] = []
        self._rejects = folder / "rejects.jsonl"
        self._n_added = 0
        self.n_rows = 0
        self.n_rejected = 0
        self.n_with_quality = 0
        self.models: set[str] = set()

    def add(self, frame: pl.DataFrame) -> None:
        """Add a checked batch as a part of the table."""
        if frame.is_empty():
            return
        part = _Part(self._folder / f"part-{len(self._parts):06d}.parquet", self._n_added, [])
        frame.write_parquet(part.path, compression="lz4", statistics=False)
        self._parts.append(part)
        self._n_added += frame.height
        self.n_rows += frame.height
        self.n_with_quality += frame["quality"].count()
        self.models.update(frame["model"].unique())

    def remove(self, numbers: Iterable[int]) -> None:
        """Take rows without a quality out of the table; they are numbered from 0, as they were added."""
        for number in numbers:
            part = self._parts[bisect_right(self._parts, number, key=lambda part: part.first) - 1]
            part.removed.append(number - part.first)
            self.n_rows -= 1

    def reject(self, entries: list[dict[str, Any]]) -> None:
        """Add entries to the rejects file."""
        with self._rejects.open("a", encoding="utf-8") as file:
            file.writelines(f"{_entry_json(entry)}\n" for entry in entries)
        self.n_rejected += len(entries)

    def finish(self) -> Path | None:
        """Merge the parts and move the files into place; return the rejects file, if there is one."""
        merged = self._folder / "table.parquet"
        for part in self._parts:
            part.rewrite()
        pl.scan_parquet([part.path for part in self._parts], glob=False).sink_parquet(
            merged,
            row_group_size=_ROWS_A_GROUP,
            metadata={_VERSION_KEY: str(SCHEMA_VERSION)},
        )
        rejects = self.keep_rejects()
        merged.replace(self._out)
        return rejects

    def keep_rejects(self) -> Path | None:
        """Move the rejects file into place, or remove that of an earlier run if nothing was rejected."""
        target = rejects_path(self._out)
        if not self.n_rejected:
            target.unlink(missing_ok=True)
            return None
        self._rejects.replace(target)
        return target


def _entry_json(entry: dict[str, Any]) -> str:
    try:
        return safe_json(entry)
    except RecursionError:
        # Just shallow enough to be read, and too deep to be written inside an entry.
        return safe_json(entry | {"record": "nested too deeply to be shown here; see the file and row"})


@contextmanager
def open_output(out: Path) -> Iterator[TableOutput]:
    """Make a hidden folder beside `out` to write into; it is gone afterwards, whatever happens.

    Raises
    ------
    TableError
        If nothing can be written there.
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
