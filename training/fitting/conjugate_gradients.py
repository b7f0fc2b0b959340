"""Solve linear systems for many right-hand sides at once by conjugate gradients (Hestenes & Stiefel 1952).

Each output (model, target) has its own weights on the prompts. So there is no factorisation that all outputs could
share. Conjugate gradients need only products with the matrix. A preconditioner, which is a rough inverse, lets them
need fewer (Saad 2003, algorithm 9.1).
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Product: TypeAlias = Callable[[FloatArray], FloatArray]

_MAX_ITERATIONS = 100


def solve(product: Product, right: FloatArray, *, tolerance: float, precondition: Product | None = None) -> FloatArray:
    """Solve ``A_j x_j = b_j`` for every output j, with A_j symmetric and positive definite.

    Parameters
    ----------
    product : function from directions of shape (n, n_outputs) to their products with A_j, in a new array
    right : shape (n, n_outputs)
    tolerance : float
        Largest length of the residual, relative to the right-hand side's.
    precondition : function from residuals to their products with a rough inverse of A_j, positive definite as A_j

    Returns
    -------
    float32 array, shape (n, n_outputs)
    """
    residual = right.astype(np.float32)
    solution = np.zeros_like(residual)
    goal = tolerance**2 * _inner(residual, residual)
    improved = residual if precondition is None else precondition(residual)
    direction = improved.copy()
    decrease = _inner(residual, improved)
    for _ in range(_MAX_ITERATIONS):
        if np.all(_inner(residual, residual) <= goal):
            break
        image = product(direction)
        curvature = _inner(direction, image)
        # Rounding may make a matrix or the preconditioner indefinite. The output keeps what it has then.
        step = np.where((curvature > 0) & (decrease > 0), decrease / np.maximum(curvature, 1e-30), 0)
        if not step.any():
            break
        solution += step * direction
        image *= step
        residual -= image
        improved = residual if precondition is None else precondition(residual)
        former, decrease = decrease, _inner(residual, improved)
        direction *= decrease / np.maximum(former, 1e-30)
        direction += improved
    return solution


def _inner(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("dj,dj->j", one, other))
