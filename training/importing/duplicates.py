"""Whether a (prompt, model) pair has been seen before.

A pair counts once; a second record of it would weigh double, or end up on both sides of a split. Pairs are
known by two 64-bit hashes and kept in sorted numpy runs, 28 bytes a row with their places, so that hundreds
of millions of rows can be checked while they stream by. Simplifies: two different pairs with both hashes
alike would be taken for one (about one in 10^30 pairs of rows).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from training.importing.problems import Problem

DUPLICATE_ADVICE: Final = (
    "remove one of the two, give them different 'prompt_id's, or use --on-error skip to keep the first"
)
EXPECTED_ONCE: Final = "each prompt and model once"

_LARGEST_MERGED: Final = 1 << 20  # rows; bounds what merging holds twice
_SEEDS: Final = (20_250_131, 77_003)

HashArray = npt.NDArray[np.uint64]
PlaceArray = npt.NDArray[np.int64]


class _Run(NamedTuple):
    """Pairs sorted by `pair`; all arrays have shape (n_rows,)."""

    pair: HashArray
    prompt: HashArray
    file: npt.NDArray[np.int32]
    row: PlaceArray


def find_duplicates(frame: pl.DataFrame) -> list[Problem]:
    """Return a problem for every row whose (prompt_id, model) stands in an earlier row of the frame.

    >>> frame = pl.DataFrame({"prompt_id": ["a", "a", "a"], "model": ["m", "n", "m"]})
    >>> [(problem.index, problem.got) for problem in find_duplicates(frame)]
    [(2, "'a' with model 'm' again, first in row 1")]
    """
    first = pl.col("index").min().over("prompt_id", "model").alias("first")
    again = frame.select("prompt_id", "model").with_row_index().with_columns(first)
    return [
        duplicate_problem(index, prompt_id, model, f"row {first + 1}")
        for index, prompt_id, model, first in again.filter(pl.col("index") > pl.col("first")).iter_rows()
    ]


def duplicate_problem(index: int, prompt_id: str, model: str, first: str) -> Problem:
    """Word the problem of a pair that comes again."""
    got = f"{prompt_id!r} with model {model!r} again, first in {first}"
    return Problem(index, "prompt_id", got, EXPECTED_ONCE, DUPLICATE_ADVICE)


class SeenPairs:
    """Remembers pairs and the places they were first seen in."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, frame: pl.DataFrame, file: int, rows: PlaceArray) -> list[tuple[int, int, int]]:
        """Remember the pairs of a batch; the first of equals stays.

        Parameters
        ----------
        frame : polars.DataFrame
            With `prompt_id` and `model`, neither missing.
        file : int
            Number of the source.
        rows : int64 array, shape (frame.height,)
            Where in the source.

        Returns
        -------
        list of (index, file, row)
            For every row of `frame` whose pair was seen before: its index and the place of the first.
        """
        batch = _run_of(frame, file, rows)
        order = np.argsort(batch.pair, kind="stable")
        batch = _take(batch, order)
        repeated, first = _repeated(batch)
        first_file, first_row = batch.file[first], batch.row[first]
        for run in self._runs:
            at = np.minimum(np.searchsorted(run.pair, batch.pair), len(run.pair) - 1)
            found = (run.pair[at] == batch.pair) & (run.prompt[at] == batch.prompt)
            first_file[found], first_row[found] = run.file[at[found]], run.row[at[found]]
            repeated |= found
        self._append(_take(batch, np.flatnonzero(~repeated)))
        places = zip(order[repeated].tolist(), first_file[repeated].tolist(), first_row[repeated].tolist(), strict=True)
        return sorted(places)

    def n_prompts(self) -> int:
        """Return the number of different prompt ids."""
        if not self._runs:
            return 0
        prompts = np.concatenate([run.prompt for run in self._runs])
        prompts.sort()
        return 1 + int(np.count_nonzero(prompts[1:] != prompts[:-1]))

    def _append(self, run: _Run) -> None:
        """Add a run and merge those of about one size, so that there are few of them."""
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
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    key = pl.concat_str(pl.col("prompt_id").str.len_bytes(), pl.lit(":"), "prompt_id", "model")
    hashes = frame.select(pair=key.hash(_SEEDS[0]), prompt=pl.col("prompt_id").hash(_SEEDS[1]))
    return _Run(
        pair=hashes["pair"].to_numpy(),
        prompt=hashes["prompt"].to_numpy(),
        file=np.full(len(rows), file, dtype=np.int32),
        row=np.asarray(rows, dtype=np.int64),
    )


def _take(run: _Run, indices: npt.NDArray[np.intp]) -> _Run:
    return _Run(run.pair[indices], run.prompt[indices], run.file[indices], run.row[indices])


def _merge(a: _Run, b: _Run, order: npt.NDArray[np.intp]) -> _Run:
    return _Run(
        pair=np.concatenate([a.pair, b.pair])[order],
        prompt=np.concatenate([a.prompt, b.prompt])[order],
        file=np.concatenate([a.file, b.file])[order],
        row=np.concatenate([a.row, b.row])[order],
    )


def _repeated(run: _Run) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return which rows of a sorted run repeat the one before, and the first row of each group of equals."""
    repeated = np.zeros(len(run.pair), dtype=np.bool_)
    repeated[1:] = (run.pair[1:] == run.pair[:-1]) & (run.prompt[1:] == run.prompt[:-1])
    first = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(repeated))))
    return repeated, first
