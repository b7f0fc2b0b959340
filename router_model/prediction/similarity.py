"""Cosine similarities between prompts and logged prompts, for dense embeddings and sparse bags.

Vectors are on a grid and every sum is exact (`router_model.features.grid`). So a prompt has the same similarities alone
or in a batch, with compiled code (`router_model.prediction.compiled`) or without, and on every processor.

Bags are compared in two ways. A single prompt reads the rows of its own terms in the inverted index. Many prompts share
the work on the common terms, which is most of it: the index is nearly dense there, and a dense product is ten times as
fast.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features import grid

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Vectors: TypeAlias = "FloatArray | sp.csr_array"
"""Rows of unit length, dense (embedding) or sparse (bag)."""

_MANY = 64  # least number of queries for which laying out the common terms pays
_COMMON_SHARE = 0.04  # share of the logged prompts that have a common term
_MAX_COMMON = 768  # common terms at most; bounds memory at 768 x n_bank float64
_COARSE_STEPS = 2**9
_ROWS_AT_ONCE = 32  # rows of the index read for both parts of a query while they are in the processor's cache


def on_grid(vectors: Vectors) -> Vectors:
    """Round the entries of vectors to the grid on which they are compared."""
    if not isinstance(vectors, sp.csr_array):
        return grid.on_grid(vectors)
    return sp.csr_array((grid.on_grid(vectors.data), vectors.indices, vectors.indptr), shape=vectors.shape)


def comparer(index: Vectors, n_queries: int) -> Callable[[Vectors], DoubleArray]:
    """Return a function that compares queries, shape (n, dimension), with indexed vectors.

    Its result has shape (n, n_bank).

    Parameters
    ----------
    index : shape (dimension, n_bank), `on_grid`
    """
    if not isinstance(index, sp.csr_array):
        dense = index
        return lambda queries: _dense_cosines(np.asarray(on_grid(queries)), dense)
    if n_queries < _MANY:
        inverted = index
        return lambda queries: _one_by_one(sp.csr_array(queries), inverted)
    return _in_two_parts(index)


def similarities(queries: Vectors, index: Vectors) -> DoubleArray:
    """Return the cosine similarities of queries with indexed vectors, shape (n, n_bank); see `comparer`."""
    indexed = sp.csr_array(index) if sp.issparse(index) else index
    return comparer(on_grid(indexed), queries.shape[0])(queries)


def _dense_cosines(queries: FloatArray, index: FloatArray) -> DoubleArray:
    """Return products of vectors on the grid, computed as two parts that float32 sums exactly.

    The first part of a query has its entries in steps of 2**-9. The second part is the remainder, at most 2**-10.
    Entries of the index are in steps of 2**-14 and lengths are at most 1. So for vectors of up to 4,096 dimensions,
    sums are below 2**24 steps of 2**-23 and of 2**-28. A product in float64 would take longer and need a second copy of
    the index.
    """
    coarse = grid.on_grid(queries, _COARSE_STEPS)
    fine = queries - coarse
    of_coarse, of_fine = np.zeros((2, len(queries), index.shape[1]), dtype=np.float32)
    at_once = _ROWS_AT_ONCE if len(queries) == 1 else max(len(index), 1)
    for start in range(0, len(index), at_once):
        rows = slice(start, start + at_once)
        of_coarse += coarse[:, rows] @ index[rows]
        of_fine += fine[:, rows] @ index[rows]
    return of_coarse.astype(np.float64) + of_fine


def _one_by_one(queries: sp.csr_array, index: sp.csr_array) -> DoubleArray:
    found = np.empty((queries.shape[0], index.shape[1]))
    for row in range(len(found)):
        start, end = queries.indptr[row : row + 2]
        lists = index[queries.indices[start:end]]
        lists.data = _in_steps(lists.data)  # integers of 32 bits take half the memory of float64
        found[row] = lists.T @ _in_steps(queries.data[start:end])
    found /= grid.GRID_STEPS**2
    return found


def _in_steps(values: FloatArray) -> npt.NDArray[np.int32]:
    return (values * np.float32(grid.GRID_STEPS)).astype(np.int32)


def _in_two_parts(index: sp.csr_array) -> Callable[[Vectors], DoubleArray]:
    """Split the index into common terms, as a dense array, and the others."""
    n_prompts = np.diff(index.indptr)
    commonest = np.argsort(-n_prompts, kind="stable")[:_MAX_COMMON]
    common = np.sort(commonest[n_prompts[commonest] > _COMMON_SHARE * index.shape[1]])
    others = np.setdiff1d(np.arange(len(n_prompts)), common)
    dense, sparse = index[common].toarray().astype(np.float64), index[others].astype(np.float64)

    def compare(queries: Vectors) -> DoubleArray:
        columns: Any = queries.tocsc() if isinstance(queries, sp.csr_array) else queries
        found = np.asarray(columns[:, common].toarray() @ dense, dtype=np.float64)
        found += (columns[:, others].tocsr() @ sparse).toarray()
        return found

    return compare


def nearest_rows(similarity: DoubleArray, k: int) -> tuple[npt.NDArray[np.intp], DoubleArray]:
    """Return the indices and values of the `k` largest entries of each row, largest first.

    Ties go to the smaller index. If there are fewer than `k` columns, all are returned.
    """
    found = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return found, np.take_along_axis(similarity, found, axis=1)
