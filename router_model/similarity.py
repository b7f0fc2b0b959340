"""Cosine similarities of prompts with logged ones, in a dense or a sparse space.

Bags of words are compared in two ways that differ in the last bits only. One prompt reads the rows of its own
terms in the inverted index. Many prompts share the work on the common terms, which make up most of it: there the
index is nearly dense, and a dense product is ten times as fast.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

FloatArray = npt.NDArray[np.float32]
Vectors: TypeAlias = "FloatArray | sp.csr_array"
"""Rows of unit length, dense (embedding) or sparse (bag)."""

_MANY = 64  # queries from which the common terms are worth laying out
_COMMON_SHARE = 0.04  # of the logged prompts have a common term
_MAX_COMMON = 768  # terms; bounds memory at 768 x n_bank floats

GRID_STEPS = 2**14
"""Steps in 1 of the grid that dense vectors are compared on: entries of unit vectors are then integers of 16 bits."""


def on_grid(vectors: Vectors) -> Vectors:
    """Return dense vectors with entries rounded to a grid, which float32 holds exactly; sparse ones as they are.

    Compiled decisions (docs/decisions/0010) compare integers, training and plain decisions the same numbers as floats.

    >>> on_grid(np.array([[0.6, -0.8]], dtype=np.float32)).tolist()  # 9830 and -13107 steps
    [[0.5999755859375, -0.79998779296875]]
    """
    if isinstance(vectors, sp.csr_array):
        return vectors
    return np.asarray(np.rint(vectors * np.float32(GRID_STEPS)) / np.float32(GRID_STEPS), dtype=np.float32)


def comparer(index: Vectors, n_queries: int) -> Callable[[Vectors], FloatArray]:
    """Return what compares some of `n_queries` queries, shape (n, dimension), with indexed vectors.

    Its result has shape (n, n_bank).

    Parameters
    ----------
    index : shape (dimension, n_bank); if dense, `on_grid`
    """
    if not isinstance(index, sp.csr_array):
        dense = index
        return lambda queries: np.asarray(on_grid(queries) @ dense, dtype=np.float32)
    if n_queries < _MANY:
        inverted = index
        return lambda queries: _one_by_one(sp.csr_array(queries), inverted)
    return _in_two_parts(index)


def similarities(queries: Vectors, index: Vectors) -> FloatArray:
    """Return the cosine similarities of queries with indexed vectors, shape (n, n_bank); see `comparer`."""
    return comparer(sp.csr_array(index) if sp.issparse(index) else on_grid(index), queries.shape[0])(queries)


def _one_by_one(queries: sp.csr_array, index: sp.csr_array) -> FloatArray:
    found = np.empty((queries.shape[0], index.shape[1]), dtype=np.float32)
    for row in range(len(found)):
        start, end = queries.indptr[row : row + 2]
        found[row] = index[queries.indices[start:end]].T @ queries.data[start:end]
    return found


def _in_two_parts(index: sp.csr_array) -> Callable[[Vectors], FloatArray]:
    """Split the index into common terms, as a dense array, and the others."""
    n_prompts = np.diff(index.indptr)
    commonest = np.argsort(-n_prompts, kind="stable")[:_MAX_COMMON]
    common = np.sort(commonest[n_prompts[commonest] > _COMMON_SHARE * index.shape[1]])
    others = np.setdiff1d(np.arange(len(n_prompts)), common)
    dense, sparse = index[common].toarray(), index[others]

    def compare(queries: Vectors) -> FloatArray:
        columns: Any = queries.tocsc() if isinstance(queries, sp.csr_array) else queries
        found = np.asarray(columns[:, common].toarray() @ dense, dtype=np.float32)
        found += (columns[:, others].tocsr() @ sparse).toarray()
        return found

    return compare


def nearest_rows(similarity: FloatArray, k: int) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return indices and similarities of the `k` largest entries of each row, largest first.

    Ties go to the smaller index; where there are fewer than `k` columns, all are returned.
    """
    found = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return found, np.take_along_axis(similarity, found, axis=1)
