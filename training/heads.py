"""Ridge regression for many outputs with missing pairs, by conjugate gradients.

Each output (model, target) has its own weights on the prompts, so there is no common factorisation; conjugate
gradients need only products with the matrix, which is dense for embeddings and sparse for bags, and solve all
outputs at once (Hestenes & Stiefel 1952).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.evidence import Bank, LinearHead, Vectors

FloatArray = npt.NDArray[np.float32]

_MAX_ITERATIONS = 100
_TOLERANCE = 0.03


def fit_head(vectors: Vectors, bank: Bank, *, penalty: float) -> LinearHead:
    """Fit a linear head on the outcomes of a bank, with the models' overall record as intercept.

    Parameters
    ----------
    vectors : shape (n, dimension), aligned with the bank
    penalty : float
        Of the squared weights.
    """
    residual = (bank.outcome - bank.base).reshape(len(bank.outcome), -1)
    weight = bank.weight.reshape(len(residual), -1)
    # Dense vectors are centred, so that the record stays the intercept; centring would fill sparse ones.
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
        Of the residual relative to the start. Loose by default: stopping early regularises, too, and tighter
        ones changed no held-out figure (docs/decisions/0001).

    Returns
    -------
    float32 array, shape (dimension, n_outputs)
    """
    transposed: Any = vectors.T.tocsr() if sp.issparse(vectors) else vectors.T
    residual = np.asarray(transposed @ (weight * target), dtype=np.float32)
    solution = np.zeros_like(residual)
    direction = residual.copy()
    norm = np.einsum("dj,dj->j", residual, residual)
    goal = tolerance**2 * norm
    for _ in range(_MAX_ITERATIONS):
        if np.all(norm <= goal):
            break
        image = np.asarray(transposed @ (weight * np.asarray(vectors @ direction))) + penalty * direction
        step = norm / np.maximum(np.einsum("dj,dj->j", direction, image), 1e-30)
        solution += step * direction
        residual -= step * image
        new_norm = np.einsum("dj,dj->j", residual, residual)
        direction = residual + (new_norm / np.maximum(norm, 1e-30)) * direction
        norm = new_norm
    return solution.astype(np.float32)
