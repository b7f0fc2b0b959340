"""Find pairs of nearly equal texts without comparing every two.

The similarity of two texts is the Jaccard index of their shingle sets (`near_duplicates.shingles` makes these). A
shingle that m of the n texts have is weighted by log(1 + n / (m - 1)) squared, much as in a tf-idf cosine. So a shingle
that many texts share (from a template, "answer the following question") hardly counts. A shingle that only these two
share counts like one that only one of them has (m - 1 is 1 for both). Without the weights, 75,016 pairs of zeroeval's
prompts have a similarity of 0.6 or more, nearly all through CRUXEval's common instruction. With the weights there are
16. Shingles of at most `MOST_RARE` texts all weigh the same. Otherwise twenty variants of one prompt would seem less
alike than two, because they share shingles that are less rare.

If two sets have a Jaccard index of t or more, they share a shingle among the rarest ones that make up 1 - t of the
weight of each (prefix filtering: Chaudhuri et al. 2006, Bayardo et al. 2007). Only texts that share such a shingle are
compared, exactly. Unlike MinHash, this uses no random numbers and misses no pair, with one exception: limits bound the
work in tables where hundreds of texts have no shingle that is rarer than those they all share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from router_model.training.near_duplicates.shingles import shingle_sets

MOST_SHARING: Final = 250
"""If more texts share a shingle, only this many, the first, are considered for it."""
MOST_RARE: Final = 20
RARE_SHARE: Final = 0.01
"""A shingle is as rare as any if so many texts have it, or this share of them if that is less (but 2 in any case)."""
MOST_COMPARED: Final = 64
"""The most texts that one text is compared with: those with the most rare shingles in common."""

_TEXTS_AT_ONCE: Final = 10_000  # bounds memory where each shingle of a text takes part
_ROWS_AT_ONCE: Final = 256
_PAIRS_AT_ONCE: Final = 4096
_ROUNDING: Final = 1e-9

Float64Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class WeightedSets:
    """Shingle sets of n texts.

    Attributes
    ----------
    sets : csr_array of ones, shape (n, n_shingles)
        Columns ascend in frequency, so that a row's first entries are its rarest.
    weight : float64 array, shape (n_shingles,)
    total : float64 array, shape (n,)
        Weight of each set.
    """

    sets: sparse.csr_array
    weight: Float64Array
    total: Float64Array

    @classmethod
    def of(cls, texts: Sequence[str]) -> "WeightedSets":
        """Weigh the shingles of normalised texts, which must all differ."""
        return cls.of_sets(shingle_sets(texts))

    @classmethod
    def of_sets(cls, sets: sparse.csr_array) -> "WeightedSets":
        """Weigh the columns of sets that must all differ, a matrix of ones of shape (n, n_columns); it is reordered."""
        n = sets.shape[0]
        frequency = np.zeros(sets.shape[1], dtype=np.int32)
        for block in _blocks(sets):
            frequency += np.bincount(block.indices, minlength=len(frequency)).astype(np.int32)
        order = np.argsort(frequency, kind="stable")
        rank = np.empty(len(order), dtype=sets.indices.dtype)
        rank[order] = np.arange(len(order))
        sets.indices = rank[sets.indices]  # in place: a second matrix would take too much memory for large tables
        sets.has_sorted_indices = False
        sets.sort_indices()
        weight = np.log1p(n / (np.maximum(frequency[order], most_rare(n)) - 1)) ** 2
        return cls(sets, weight, np.concatenate([block @ weight for block in _blocks(sets)]))

    def similarity(self, first: Rows, second: Rows) -> Float64Array:
        """Return the weighted Jaccard index of pairs of texts, shape (n_pairs,)."""
        parts = [np.zeros(0)]
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            chunk = slice(start, start + _PAIRS_AT_ONCE)
            shared = self.sets[first[chunk]].multiply(self.sets[second[chunk]]) @ self.weight
            either = self.total[first[chunk]] + self.total[second[chunk]] - shared
            parts.append(np.divide(shared, either, out=np.zeros(len(shared)), where=either > 0))
        return np.concatenate(parts)

    def nearest_before(self, rows: Rows, among: Rows, threshold: float) -> tuple[Rows, Float64Array]:
        """Return for each of `rows` the most similar text in `among` that comes before it, and its similarity.

        Parameters
        ----------
        rows, among : ascending, without repetition
        threshold : float
            Least similarity, above 0 and at most 1.

        Returns
        -------
        nearest : intp array, shape (len(rows),)
            -1 if none is similar enough; the first of equally similar ones.
        similarity : float64 array, shape (len(rows),)
            0 if none is similar enough.
        """
        nearest, similarity = np.full(len(rows), -1, dtype=np.intp), np.zeros(len(rows))
        for at, candidates, found in self.pairs(rows, among, threshold):
            order = np.lexsort((-candidates, found))  # the last write wins, which is the best one
            nearest[at[order]], similarity[at[order]] = candidates[order], found[order]
        return nearest, similarity

    def pairs(self, rows: Rows, among: Rows, threshold: float) -> Iterator[tuple[Rows, Rows, Float64Array]]:
        """Yield all pairs with the least similarity: positions in `rows`, earlier texts of `among`, similarities."""
        for at, candidates in self._candidates(rows, among, threshold):
            found = self.similarity(rows[at], candidates)
            alike = found >= threshold - _ROUNDING
            yield at[alike], candidates[alike], found[alike]

    def _candidates(self, rows: Rows, among: Rows, threshold: float) -> Iterator[tuple[Rows, Rows]]:
        """Yield pairs that may be similar: positions in `rows`, and texts of `among`."""
        prefixes = _Prefixes.of(self, threshold)
        sharing = _first_of_each_row(prefixes.roots[among].T.tocsr(), MOST_SHARING)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            shared = (prefixes.roots[rows[start : start + _ROWS_AT_ONCE]] @ sharing).tocoo()
            at, candidates = shared.coords[0] + start, among[shared.coords[1]]
            worth = (candidates < rows[at]) & prefixes.may_reach(rows[at], candidates, shared.data, threshold)
            at, candidates, weight = at[worth], candidates[worth], shared.data[worth]
            order = np.lexsort((candidates, -weight, at))
            order = order[_rank_of_repeated(at[order]) < MOST_COMPARED]
            yield at[order].astype(np.intp), candidates[order]


@dataclass(frozen=True, slots=True)
class _Prefixes:
    """The rarest shingles (prefix) of each of n texts; similar texts share at least one of them.

    Attributes
    ----------
    roots : csr_array, shape (n, n_shingles)
        Square roots of weights, so that the product of two rows is the weight of the shingles that they share.
    total, rest : float64 arrays, shape (n,)
        Weight of all shingles, and of those not in the prefix.
    end : int array, shape (n,)
        The prefix's most frequent shingle.
    """

    roots: sparse.csr_array
    total: Float64Array
    rest: Float64Array
    end: npt.NDArray[np.int64]

    @classmethod
    def of(cls, weighted: WeightedSets, threshold: float) -> "_Prefixes":
        parts = [_prefix(block, weighted.weight, threshold) for block in _blocks(weighted.sets)]
        roots = sparse.csr_array(sparse.vstack([roots for roots, _ in parts], format="csr"))
        rest = weighted.total - np.asarray(roots.power(2).sum(axis=1))
        return cls(roots, weighted.total, rest, np.concatenate([end for _, end in parts]))

    def may_reach(self, first: Rows, second: Rows, shared: Float64Array, threshold: float) -> npt.NDArray[np.bool_]:
        """Return which pairs may be similar, from the weight of the shingles that their prefixes share.

        All other shared shingles are more frequent than the whole prefix that ends first, so they are in the rest of
        that text. For a Jaccard index of t, sets of weights a and b must share a weight of (a + b) t / (1 + t).
        """
        a, b = self.total[first], self.total[second]
        rest = np.where(self.end[first] <= self.end[second], self.rest[first], self.rest[second])
        enough = shared + rest >= (a + b) * threshold / (1 + threshold) * (1 - _ROUNDING)
        return np.asarray(enough & (np.minimum(a, b) >= threshold * np.maximum(a, b) * (1 - _ROUNDING)))


def most_rare(n_texts: int) -> int:
    """Return the number of texts up to which a shingle counts as rare.

    >>> [most_rare(n) for n in (10, 1000, 100_000)]
    [2, 10, 20]
    """
    return max(2, min(MOST_RARE, int(RARE_SHARE * n_texts)))


def _blocks(sets: sparse.csr_array) -> Iterator[sparse.csr_array]:
    """Yield some rows after the other; one block without rows if there are none."""
    for start in range(0, max(1, sets.shape[0]), _TEXTS_AT_ONCE):
        yield sets[start : start + _TEXTS_AT_ONCE]


def _prefix(
    sets: sparse.csr_array, weight: Float64Array, threshold: float
) -> tuple[sparse.csr_array, npt.NDArray[np.int64]]:
    """Return the prefixes of some texts (square roots of the weights), and the last shingle of each."""
    weights, n = weight[sets.indices], sets.shape[0]
    until = np.append(0.0, np.cumsum(weights))
    remaining = np.repeat(until[sets.indptr[1:]], np.diff(sets.indptr)) - until[:-1]
    total = until[sets.indptr[1:]] - until[sets.indptr[:-1]]
    text_of = np.repeat(np.arange(n), np.diff(sets.indptr))
    kept = remaining >= threshold * total[text_of] * (1 - _ROUNDING)
    text_of, columns = text_of[kept], sets.indices[kept]
    starts = np.append(0, np.cumsum(np.bincount(text_of, minlength=n))).astype(columns.dtype)
    end = np.zeros(n, dtype=np.int64)
    end[text_of] = columns
    return sparse.csr_array((np.sqrt(weights[kept]), columns, starts), shape=sets.shape), end


def _first_of_each_row(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    n_of_row = np.diff(matrix.indptr)
    kept = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], n_of_row) < most
    starts = np.append(0, np.cumsum(np.minimum(n_of_row, most))).astype(matrix.indices.dtype)
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _rank_of_repeated(ascending: Rows) -> Rows:
    """Return for each value the number of equal values before it.

    >>> _rank_of_repeated(np.array([3, 3, 5, 5, 5])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(len(ascending)) - np.searchsorted(ascending, ascending)
