"""Solve linear systems for many right-hand sides at once by conjugate gradients (Hestenes & Stiefel 1952).

Each output (model, target) has its own weights on the prompts. So there is no factorisation that all outputs could
share. Conjugate gradients need only products with the matrix.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Product: TypeAlias = "Callable[[FloatArray], FloatArray]"

_MAX_ITERATIONS = 100


def solve(product: Product, right: FloatArray, *, tolerance: float) -> FloatArray:
    """Solve ``A_j x_j = b_j`` for every output j, with A_j symmetric and positive definite.

    Parameters
    ----------
    product : function from directions of shape (n, n_outputs) to their products with A_j, in a new array
    right : shape (n, n_outputs)
    tolerance : float
        Largest length of the residual, relative to the right-hand side's.

    Returns
    -------
    float32 array, shape (n, n_outputs)
    """
    residual = right.astype(np.float32)
    solution = np.zeros_like(residual)
    direction = residual.copy()
    norm = np.einsum("dj,dj->j", residual, residual)
    goal = tolerance**2 * norm
    for _ in range(_MAX_ITERATIONS):
        if np.all(norm <= goal):
            break
        image = product(direction)
        step = norm / np.maximum(np.einsum("dj,dj->j", direction, image), 1e-30)
        solution += step * direction
        image *= step
        residual -= image
        new_norm = np.einsum("dj,dj->j", residual, residual)
        direction *= new_norm / np.maximum(norm, 1e-30)
        direction += residual
        norm = new_norm
    return solution
