"""Fit linear heads: ridge regression for many outputs with missing pairs, by conjugate gradients.

The solver (`router_model.training.fitting.conjugate_gradients`) needs only products with the vectors. Embeddings are
dense and bags are sparse; both work.
"""

import itertools

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.prediction.evidence import Bank, LinearHead
from router_model.prediction.similarity import Vectors
from router_model.prediction.threads import in_parallel
from router_model.training.fitting.conjugate_gradients import Product, solve

FloatArray = npt.NDArray[np.float32]

_TOLERANCE = 0.03
_N_BLOCKS = 4  # blocks of a sparse matrix; more than threads, because terms differ in how fast they are read


def fit_head(vectors: Vectors, bank: Bank, *, penalty: float) -> LinearHead:
    """Fit a linear head on the outcomes of a bank, with the models' overall record as intercept.

    Parameters
    ----------
    vectors : shape (n, dimension), aligned with the bank
    penalty : float
        Penalty of the squared weights.
    """
    residual = (bank.outcome - bank.base).reshape(len(bank.outcome), -1)
    weight = bank.weight.reshape(len(residual), -1)
    # Dense vectors are centred, so that the record stays the intercept. Sparse ones would become dense by centring.
    centre = None if sp.issparse(vectors) else np.asarray(vectors.mean(axis=0))
    flat = solve_ridge(vectors if centre is None else vectors - centre, residual, weight, penalty=penalty)
    offset = 0.0 if centre is None else (centre @ flat).reshape(bank.base.shape)
    return LinearHead(
        weights=flat.reshape(vectors.shape[1], *bank.base.shape), bias=(bank.base - offset).astype(np.float32)
    )


def solve_ridge(
    vectors: Vectors, target: FloatArray, weight: FloatArray, *, penalty: float, tolerance: float = _TOLERANCE
) -> FloatArray:
    """Minimise ``sum_i weight_ij (x_i w_j - y_ij)^2 + penalty |w_j|^2`` for every output j.

    Parameters
    ----------
    vectors : shape (n, dimension)
    target, weight : shape (n, n_outputs)
    tolerance : float
        Largest residual relative to the start. The default is loose, because stopping early regularises too, and a
        tighter one changed no held-out figure (docs/decisions/0001).

    Returns
    -------
    float32 array, shape (dimension, n_outputs)
    """
    forward, backward = _products(vectors)

    def product(direction: FloatArray) -> FloatArray:
        image = forward(direction)
        image *= weight
        image = backward(image)
        image += penalty * direction
        return image

    return solve(product, backward(weight * target), tolerance=tolerance)


def _products(vectors: Vectors) -> tuple[Product, Product]:
    """Return the products with the vectors and with their transpose."""
    if not isinstance(vectors, sp.csr_array):
        return (lambda right: np.asarray(vectors @ right)), (lambda right: np.asarray(vectors.T @ right))
    return _in_blocks(vectors), _in_blocks(vectors.T.tocsr())


def _in_blocks(matrix: sp.csr_array) -> Product:
    """Return the product with a sparse matrix, computed on two cores; scipy's own product uses one.

    One thread sums each row of the result, so the blocks do not change its last bits.
    """
    n_rows = matrix.shape[0]
    goals = np.linspace(0, matrix.nnz, _N_BLOCKS + 1)[1:-1]
    edges = [0, *np.searchsorted(matrix.indptr, goals).tolist(), n_rows]
    blocks = [_row_block(matrix, start, end) for start, end in itertools.pairwise(edges)]

    def product(right: FloatArray) -> FloatArray:
        out = np.empty((n_rows, right.shape[1]), dtype=np.float32)

        def fill(block: int) -> None:
            out[edges[block] : edges[block + 1]] = blocks[block] @ right

        in_parallel(fill, range(len(blocks)))
        return out

    return product


def _row_block(matrix: sp.csr_array, start: int, end: int) -> sp.csr_array:
    """Return some rows without copying them."""
    first, last = matrix.indptr[start], matrix.indptr[end]
    parts = (matrix.data[first:last], matrix.indices[first:last], matrix.indptr[start : end + 1] - first)
    return sp.csr_array(parts, shape=(end - start, matrix.shape[1]), copy=False)
