"""Which prompts of a table are read, if there are more than memory should hold.

A first pass reads the ids of all rows, a second one the rows whose prompts were drawn. A prompt's key is a hash of its
id, and the smallest keys are drawn: a sample in which each prompt is equally likely, whatever the order of rows and
files (bottom-k sampling, Cohen and Kaplan 2007). So a table may be much larger than memory, and its partitions are read
where an engine's workers are.

Prompts without a grade teach nothing, so they are not drawn for training. Full evaluations come first, and the log of a
service fills the rest, because certificates come from full evaluations alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.outcome_schema import DECISION_LOG
from router_model.training.distributed.engine import spread
from router_model.training.distributed.partitions import is_partitioned, n_rows_of, partitions_of, read_partition
from router_model.training.importing.values import quality
from router_model.training.table.frames import Table, is_path

MAX_PROMPTS: Final = 1_000_000
"""So many prompts are read unless something else is said. If they have 650 characters on average, training on them
takes about 6 GB (docs/scale.md)."""

EVALUATION_SEED: Final = -1
"""Of draws for evaluation. Training has seeds from 0; with its seed, all prompts that it learned from would be drawn
again."""

_ROWS_AT_ONCE: Final = 1_000_000
_TEXTS: Final = ("prompt", "messages", "prompt_features")
_IDS: Final = ("prompt_id", "model", "quality", "source")
_GIVEN: Final = pl.col("prompt_id").cast(pl.String).str.strip_chars().replace("", None)

Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Subsample:
    """The prompts that are read.

    Attributes
    ----------
    keys : sorted keys of these prompts
    seed : int
        Of the keys.
    n_prompts, n_eligible : int
        Prompts in the table, and those that could be drawn.
    models : ids of all models in the table
    """

    keys: Keys
    seed: int
    n_prompts: int
    n_eligible: int
    models: frozenset[str]

    def rows_of(self, frame: pl.DataFrame) -> Rows:
        """Return the rows of a frame that are about these prompts."""
        ids, of_row = _ids_in(frame)
        keys = _keys(ids, self.seed)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.flatnonzero((self.keys[at] == keys)[of_row])

    def __str__(self) -> str:
        ungraded = self.n_prompts - self.n_eligible
        if len(self.keys) == self.n_eligible:
            return f"{ungraded:,} prompts left out because none of their answers is graded"
        without = f" ({ungraded:,} others have no graded answer)" if ungraded else ""
        return (
            f"{len(self.keys):,} of {self.n_eligible:,} prompts were read, drawn at random{without}; --max-prompts "
            "sets the number, and a million of 650 characters take about 6 GB of memory"
        )


class _Seen(NamedTuple):
    """What a part of a table says of its prompts, sorted by key, and the models in it."""

    keys: Keys
    is_graded: Flags
    is_logged: Flags
    models: frozenset[str]


def subsample(table: Table, most: int = MAX_PROMPTS, *, graded: bool = True, seed: int = 0) -> Subsample | None:
    """Draw prompts of a table in files; None if all of it is to be read.

    All of it is read if it has no more rows, or is in memory already. Files that cannot be read, or lack a column, are
    left to whoever reads the table, who says what is wrong with them.

    Parameters
    ----------
    table : as of `router_model.training.table.outcomes.read_outcomes`
    most : the most prompts to read
    graded : draw prompts with a graded answer alone, and full evaluations first; False: any, each equally likely
    seed : of the draw
    """
    if not is_path(table):
        return None
    try:
        if _n_rows(table) <= most:
            return None
        seen = _merged([*_parts_seen(table, seed)])
    except (pl.exceptions.PolarsError, OSError):
        return None
    eligible = seen.is_graded if graded else np.ones(len(seen.keys), dtype=np.bool_)
    first = eligible & ~seen.is_logged if graded else eligible  # to prefer some would bias estimates on a log
    evaluated = seen.keys[first][:most]
    others = seen.keys[eligible & ~first][: most - len(evaluated)]
    drawn = np.sort(np.concatenate([evaluated, others]))
    if len(drawn) in (0, len(seen.keys)):
        return None
    return Subsample(drawn, seed, len(seen.keys), int(eligible.sum()), seen.models)


def _n_rows(table: str | Path) -> int:
    if not is_partitioned(table):
        return n_rows_of(str(table))
    return sum(spread(_n_rows_in, None, partitions_of(table)))


def _n_rows_in(_: None, part: str) -> int:
    return n_rows_of(part)


def _parts_seen(table: str | Path, seed: int) -> Iterator[_Seen]:
    if is_partitioned(table):
        yield from spread(_partition_seen, seed, partitions_of(table))
        return
    source = pl.scan_parquet(table, glob=False)
    for start in range(0, _n_rows(table), _ROWS_AT_ONCE):
        yield _seen(partial(_columns, source.slice(start, _ROWS_AT_ONCE)), seed)


def _columns(part: pl.LazyFrame, wanted: tuple[str, ...]) -> pl.DataFrame:
    return part.select([name for name in part.collect_schema().names() if name in wanted]).collect()


def _partition_seen(seed: int, part: str) -> _Seen:
    return _seen(partial(read_partition, part), seed)


def _seen(read: Callable[[tuple[str, ...]], pl.DataFrame], seed: int) -> _Seen:
    """Return what a part says; `read` returns those of some columns that the part has."""
    frame = read(_IDS)
    if "prompt_id" not in frame.columns or frame.select(_GIVEN).to_series().has_nulls():
        frame = read((*_IDS, *_TEXTS))
    ids, of_row = _ids_in(frame)
    order = np.argsort(keys := _keys(ids, seed))
    n, of_row = len(keys), np.argsort(order)[of_row]
    source = frame.get_column("source", default=pl.Series([None]).new_from_index(0, frame.height))
    logged = source.eq_missing(DECISION_LOG).to_numpy()
    grades, bad = quality(frame["quality"])  # a bad grade is read, so that an error names it
    graded = (grades.is_not_null() | bad).to_numpy()
    models = frame["model"].drop_nulls().unique().cast(pl.String).str.strip_chars()
    return _Seen(keys[order], _any(of_row[graded], n), _any(of_row[logged], n), frozenset(models))


def _merged(parts: list[_Seen]) -> _Seen:
    keys, of_row = np.unique(np.concatenate([part.keys for part in parts]), return_inverse=True)
    graded, logged = (np.concatenate([part[which] for part in parts]) for which in (1, 2))
    models = frozenset[str]().union(*(part.models for part in parts))
    return _Seen(keys, _any(of_row[graded], len(keys)), _any(of_row[logged], len(keys)), models)


def _any(rows: Rows, n: int) -> Flags:
    """Return which of n numbers are among some."""
    found = np.zeros(n, dtype=np.bool_)
    found[rows] = True
    return found


def _ids_in(frame: pl.DataFrame) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return the different ids of a frame's rows, and the number of each row's id; texts stand for missing ids."""
    # Another file may lack a column that is empty here, and have the same prompts.
    texts = [pl.col(name) for name in _TEXTS if frame.schema.get(name) == pl.String]
    given = [_GIVEN] if "prompt_id" in frame.columns else []
    missing = [pl.concat_str(texts, separator="\n", ignore_nulls=True)] if texts else []
    ids = frame.select(id=pl.coalesce(*given, *missing, pl.repeat("", pl.len())))["id"]
    different = ids.unique(maintain_order=True)
    of_row = ids.replace_strict(different, np.arange(len(different)), return_dtype=pl.Int64)
    return different.to_list(), of_row.to_numpy().astype(np.intp)


def _keys(ids: list[str], seed: int) -> Keys:
    digests = (sha256(f"{one}:subsample:{seed}".encode("utf-8", "surrogatepass")).digest() for one in ids)
    return np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=">u8").astype(np.uint64)
