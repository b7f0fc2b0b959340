"""The largest eigenvalues of a kernel matrix, found from its products with a few random directions.

They make a preconditioner for systems ``scale K + penalty``: nearly exact where K has its large eigenvalues, and a
multiple of the identity elsewhere (Frangella, Tropp & Udell 2023, "Randomized Nystrom preconditioning", algorithm 2.1
and section 5).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_RANK = 100  # 60 needs 12 products with the matrix where 100 needs 10 to 12 and 200 needs 9
_SHIFT = 1e-5  # relative; keeps the small Cholesky factorisation stable in float32


@dataclass(frozen=True, slots=True)
class Sketch:
    """Approximate eigenvalues and eigenvectors of a symmetric positive semi-definite matrix.

    Attributes
    ----------
    vectors : float32 array, shape (n, rank), with orthonormal columns
    values : float32 array, shape (rank,), descending, 0 or more
    """

    vectors: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray, rank: int = _RANK) -> "Sketch":
        """Approximate the largest eigenvalues of a matrix of shape (n, n), by random directions of a fixed seed."""
        n = len(matrix)
        random = np.random.default_rng(0).standard_normal((n, min(rank, n)), dtype=np.float32)
        directions, _ = np.linalg.qr(random)
        image = (matrix @ directions).astype(np.float64)
        shift = _SHIFT * float(np.linalg.norm(image)) + np.finfo(np.float64).tiny
        image += shift * directions
        root = np.linalg.cholesky(directions.T.astype(np.float64) @ image)
        vectors, singular, _ = np.linalg.svd(np.linalg.solve(root, image.T).T, full_matrices=False)
        values = np.maximum(singular**2 - shift, 0)
        return cls(vectors.astype(np.float32), values.astype(np.float32))

    def inverse(self, scale: float, penalty: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the eigenvalues of about ``(scale K + penalty_j)^-1`` for every j.

        Parameters
        ----------
        penalty : shape (n_outputs,), above 0

        Returns
        -------
        beyond : shape (n_outputs,)
            Of all directions beyond the sketch: they count as its smallest.
        excess : shape (rank, n_outputs)
            What the eigenvectors' own have more than that (less, as large eigenvalues have small inverses).
        """
        inside = 1 / (scale * self.values[:, None] + penalty)
        return inside[-1], inside - inside[-1]
