"""Fit linear heads: ridge regression for many outputs with missing pairs, by conjugate gradients.

The solver (`router_model.training.fitting.conjugate_gradients`) needs only products with the vectors. Embeddings are
dense and bags are sparse; both work.
"""

import itertools
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features.bag import csr_of
from router_model.prediction.evidence import Bank, LinearHead
from router_model.prediction.similarity import Vectors
from router_model.prediction.threads import in_parallel
from router_model.training.fitting.conjugate_gradients import Product, solve

FloatArray = npt.NDArray[np.float32]

_TOLERANCE = 0.03
_FEW = 0.15  # share of known pairs below which it is faster to read each model's own prompts than all at once
_N_BLOCKS = 4  # blocks of a sparse matrix; more than threads, because terms differ in how fast they are read


@dataclass(frozen=True, slots=True)
class Design:
    """The vectors of n prompts, prepared once for many heads that learn from all or some of them.

    Attributes
    ----------
    vectors : shape (n, dimension)
    forward, backward : products with the vectors and with their transpose
        A sparse matrix is transposed, into a second one, when it is first needed.
    centre : float32 array, shape (dimension,), or None
        The mean, which is taken off dense vectors, so that the record stays the intercept. Sparse ones would become
        dense.
    """

    vectors: Vectors
    forward: Product
    backward: Product
    centre: FloatArray | None

    @classmethod
    def of(cls, vectors: Vectors, centre: FloatArray | None = None) -> "Design":
        """Prepare vectors of shape (n, dimension); the centre of dense ones is their mean, unless one is given."""
        forward, backward = _products(vectors)
        if sp.issparse(vectors):
            return cls(vectors, forward, backward, None)
        centre = np.asarray(vectors.mean(axis=0)) if centre is None else centre

        def centred(right: FloatArray) -> FloatArray:
            return forward(right) - centre @ right

        def centred_back(left: FloatArray) -> FloatArray:
            return backward(left) - np.outer(centre, left.sum(axis=0))

        return cls(vectors, centred, centred_back, centre)

    def __reduce__(self) -> tuple[Any, tuple[Vectors, FloatArray | None]]:
        """Return what a worker prepares again: products cannot be sent."""
        return Design.of, (self.vectors, self.centre)


def fit_head(design: Design, bank: Bank, *, penalty: float) -> LinearHead:
    """Fit a linear head on the outcomes of a bank, with the models' overall record as intercept.

    Parameters
    ----------
    design : of the bank's n prompts; those of weight 0 are not learned from
    penalty : float
        Penalty of the squared weights.
    """
    known = np.asarray(bank.weight.any(axis=2))
    dimension = design.vectors.shape[1]
    if known.mean() > _FEW:
        residual = (bank.outcome - bank.base).reshape(len(known), -1)
        flat = _solve(design, residual, bank.weight.reshape(len(known), -1), penalty=penalty, tolerance=_TOLERANCE)
        weights = flat.reshape(dimension, *bank.base.shape)
    else:
        weights = np.empty((dimension, *bank.base.shape), dtype=np.float32)
        for model, base in enumerate(bank.base):
            rows = np.flatnonzero(known[:, model])
            own = Design.of(design.vectors[rows], design.centre)
            residual, weight = bank.outcome[rows, model] - base, bank.weight[rows, model]
            weights[:, model] = _solve(own, residual, weight, penalty=penalty, tolerance=_TOLERANCE)
    offset = 0.0 if design.centre is None else np.tensordot(design.centre, weights, axes=1)
    return LinearHead(weights=weights, bias=(bank.base - offset).astype(np.float32))


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
    design = Design(vectors, *_products(vectors), None)
    return _solve(design, target, weight, penalty=penalty, tolerance=tolerance)


def _solve(design: Design, target: FloatArray, weight: FloatArray, *, penalty: float, tolerance: float) -> FloatArray:
    def product(direction: FloatArray) -> FloatArray:
        image = design.forward(direction)
        image *= weight
        image = design.backward(image)
        image += penalty * direction
        return image

    return solve(product, design.backward(weight * target), tolerance=tolerance)


def _products(vectors: Vectors) -> tuple[Product, Product]:
    """Return the products with the vectors and with their transpose."""
    if not isinstance(vectors, sp.csr_array):
        return (lambda right: np.asarray(vectors @ right)), (lambda right: np.asarray(vectors.T @ right))

    made: list[Product] = []
    making = Lock()  # two tasks of one worker may ask at once, and each transpose is as large as the bags

    def backward(left: FloatArray) -> FloatArray:
        with making:
            if not made:
                made.append(_in_blocks(vectors.T.tocsr()))
        return made[0](left)

    return _in_blocks(vectors), backward


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
    return csr_of(*parts, shape=(end - start, matrix.shape[1]))
