"""Find out whether a (prompt, model) pair was seen before in an import.

A pair counts once. A second record of it would count double, or could be on both sides of a split. A row without a
grade is replaced by any other row of its pair, whatever their order, because logs often have a call both with and
without its grade. So a second grade of a pair is a problem, but a second row without a grade is not.

A pair is identified by two 64-bit hashes. They are kept in sorted numpy arrays, with 36 bytes for each row, so that
hundreds of millions of rows can be checked as a stream. One simplification: two different pairs with equal hashes would
be taken for one pair (the probability is about one in 10^30 for two rows).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.training.importing.problems import Problem

DUPLICATE_ADVICE: Final = (
    "remove one of the two, give them different 'prompt_id's, or use --on-error skip to keep the first"
)
EXPECTED_ONCE: Final = "each prompt and model once"

_LARGEST_MERGED: Final = 1 << 20  # rows; bounds the memory that merging needs twice
_SEEDS: Final = (20_250_131, 77_003)

HashArray = npt.NDArray[np.uint64]
PlaceArray = npt.NDArray[np.int64]


class _Run(NamedTuple):
    """Pairs sorted by `pair`; all arrays have shape (n_rows,).

    `number` is the number of the row in the table. For a row without a grade, its bitwise complement is stored, which
    is negative.
    """

    pair: HashArray
    prompt: HashArray
    file: npt.NDArray[np.int32]
    row: PlaceArray
    number: PlaceArray


class Repeats(NamedTuple):
    """The repeated pairs of a batch.

    Attributes
    ----------
    again : list of (index, file, row)
        For every row with a second grade: its index, and the place of the first row.
    ungraded : list of int
        Indices of rows of the batch that are dropped.
    replaced : list of int
        Numbers of rows of the table that rows of this batch replace.
    """

    again: list[tuple[int, int, int]]
    ungraded: list[int]
    replaced: list[int]


def find_duplicates(frame: pl.DataFrame, places: PlaceArray | None = None) -> list[Problem]:
    """Return a problem for every row whose (prompt_id, model) occurs in an earlier row of the frame.

    Parameters
    ----------
    frame : with `prompt_id` and `model`
    places : numbers of the frame's rows in the table that they are a part of

    >>> frame = pl.DataFrame({"prompt_id": ["a", "a", "a"], "model": ["m", "n", "m"]})
    >>> [(problem.index, problem.got) for problem in find_duplicates(frame)]
    [(2, "'a' with model 'm' again, first in row 1")]
    """
    key = pl.col("prompt_id").hash(_SEEDS[0]) ^ pl.col("model").hash(_SEEDS[1])
    if frame.select(key.n_unique()).item() == frame.height:
        return []  # grouping the texts of millions of rows takes most of the memory, and there is seldom a duplicate
    first = pl.col("index").min().over("prompt_id", "model").alias("first")
    again = frame.select("prompt_id", "model").with_row_index().with_columns(first)
    at = np.arange(frame.height) if places is None else places
    return [
        duplicate_problem(int(at[index]), prompt_id, model, f"row {at[first] + 1}")
        for index, prompt_id, model, first in again.filter(pl.col("index") > pl.col("first")).iter_rows()
    ]


def duplicate_problem(index: int, prompt_id: str, model: str, first: str) -> Problem:
    """Return the problem of a repeated pair."""
    got = f"{prompt_id!r} with model {model!r} again, first in {first}"
    return Problem(index, "prompt_id", got, EXPECTED_ONCE, DUPLICATE_ADVICE)


class SeenPairs:
    """Remembers pairs and the places where they were first seen."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._n_rows = 0

    def add(self, frame: pl.DataFrame, file: int, rows: PlaceArray) -> Repeats:
        """Remember the pairs of a batch; of equal pairs the first with a grade stays, or else the first.

        Parameters
        ----------
        frame : polars.DataFrame
            With `prompt_id` and `model`, both always present, and `quality`. Rows that do not repeat become the next
            rows of the table.
        file : int
            Number of the source.
        rows : int64 array, shape (frame.height,)
            Row numbers in the source.
        """
        is_graded = frame["quality"].is_not_null().to_numpy()
        batch = _run_of(frame, file, rows)
        order = np.lexsort((~is_graded, batch.pair))  # a stable sort keeps equal pairs in their order
        batch, is_graded = _take(batch, order), is_graded[order]
        repeated, first = _repeated(batch)
        first_file, first_row = batch.file[first], batch.row[first]
        replacing = np.zeros(len(order), dtype=np.bool_)
        replaced: list[tuple[_Run, npt.NDArray[np.intp], npt.NDArray[np.intp]]] = []
        for run in self._runs:
            at = np.minimum(np.searchsorted(run.pair, batch.pair), len(run.pair) - 1)
            found = (run.pair[at] == batch.pair) & (run.prompt[at] == batch.prompt)
            better = found & ~repeated & is_graded & (run.number[at] < 0)
            if better.any():
                replaced.append((run, at[better], np.flatnonzero(better)))
                replacing |= better
            found &= ~better[first]  # the other rows of this pair repeat the better row
            first_file[found], first_row[found] = run.file[at[found]], run.row[at[found]]
            repeated |= found
        batch = self._numbered(batch, order, is_graded, ~repeated)
        freed = [number for run, at, by in replaced for number in _replace(run, at, _take(batch, by))]
        self._append(_take(batch, np.flatnonzero(~repeated & ~replacing)))
        again = np.flatnonzero(repeated & is_graded)
        places = zip(order[again].tolist(), first_file[again].tolist(), first_row[again].tolist(), strict=True)
        return Repeats(sorted(places), sorted(order[repeated & ~is_graded].tolist()), freed)

    def _numbered(
        self, batch: _Run, order: npt.NDArray[np.intp], is_graded: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_]
    ) -> _Run:
        """Assign table row numbers to the kept rows of a sorted batch."""
        is_kept = np.zeros(len(order), dtype=np.bool_)
        is_kept[order] = kept
        numbers = (self._n_rows - 1 + np.cumsum(is_kept))[order]
        self._n_rows += int(is_kept.sum())
        return batch._replace(number=np.where(is_graded, numbers, ~numbers))

    def n_prompts(self) -> int:
        """Return the number of different prompt ids."""
        if not self._runs:
            return 0
        prompts = np.concatenate([run.prompt for run in self._runs])
        prompts.sort()
        return 1 + int(np.count_nonzero(prompts[1:] != prompts[:-1]))

    def _append(self, run: _Run) -> None:
        """Add a run and merge runs of about the same size, so that there are few."""
        if not len(run.pair):
            return
        self._runs.append(run)
        while len(self._runs) > 1 and self._should_merge():
            last, before = self._runs.pop(), self._runs.pop()
            # Two sorted halves: a stable sort merges them in linear time.
            order = np.argsort(np.concatenate([before.pair, last.pair]), kind="stable")
            self._runs.append(_merge(before, last, order))

    def _should_merge(self) -> bool:
        before, last = len(self._runs[-2].pair), len(self._runs[-1].pair)
        return before <= 2 * last and before + last <= _LARGEST_MERGED


def _run_of(frame: pl.DataFrame, file: int, rows: PlaceArray) -> _Run:
    # The length in front distinguishes ("ab", "c") from ("a", "bc").
    key = pl.concat_str(pl.col("prompt_id").str.len_bytes(), pl.lit(":"), "prompt_id", "model")
    hashes = frame.select(pair=key.hash(_SEEDS[0]), prompt=pl.col("prompt_id").hash(_SEEDS[1]))
    return _Run(
        pair=hashes["pair"].to_numpy(),
        prompt=hashes["prompt"].to_numpy(),
        file=np.full(len(rows), file, dtype=np.int32),
        row=np.asarray(rows, dtype=np.int64),
        number=np.zeros(len(rows), dtype=np.int64),
    )


def _take(run: _Run, indices: npt.NDArray[np.intp]) -> _Run:
    return _Run(run.pair[indices], run.prompt[indices], run.file[indices], run.row[indices], run.number[indices])


def _replace(run: _Run, at: npt.NDArray[np.intp], by: _Run) -> list[int]:
    """Replace rows of a run by better rows of the same pairs; return the numbers of the replaced rows."""
    freed: list[int] = (~run.number[at]).tolist()
    run.file[at], run.row[at], run.number[at] = by.file, by.row, by.number
    return freed


def _merge(a: _Run, b: _Run, order: npt.NDArray[np.intp]) -> _Run:
    return _Run(
        pair=np.concatenate([a.pair, b.pair])[order],
        prompt=np.concatenate([a.prompt, b.prompt])[order],
        file=np.concatenate([a.file, b.file])[order],
        row=np.concatenate([a.row, b.row])[order],
        number=np.concatenate([a.number, b.number])[order],
    )


def _repeated(run: _Run) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return which rows of a sorted run repeat the row before, and the first row of each group of equal pairs."""
    repeated = np.zeros(len(run.pair), dtype=np.bool_)
    repeated[1:] = (run.pair[1:] == run.pair[:-1]) & (run.prompt[1:] == run.prompt[:-1])
    first = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(repeated))))
    return repeated, first
