"""A rough inverse of the kernel machine's systems, so that conjugate gradients need few steps.

The largest eigenvalues of a kernel matrix K are found from its products with a few random directions. The inverse of
``scale K + penalty`` is then nearly right where K has its large eigenvalues, and a multiple of the identity elsewhere
(Frangella, Tropp & Udell 2023, "Randomized Nystrom preconditioning", algorithm 2.1 and section 5).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.fitting.conjugate_gradients import Product

FloatArray = npt.NDArray[np.float32]

_RANK = 100  # products with the matrix: 60 needs 12, 100 needs 10 to 13, 200 needs 9
_LEAST_PENALTY = 1e-5  # relative to the largest eigenvalue
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
        inside = directions.T.astype(np.float64) @ image
        # Kernel values are rounded. So the kernel of prompts that are nearly the same has eigenvalues a little below 0.
        least = float(np.linalg.eigvalsh(inside)[0])
        shift = _SHIFT * float(np.linalg.norm(image)) + 2 * max(-least, 0.0) + np.finfo(np.float64).tiny
        image += shift * directions
        root = np.linalg.cholesky(inside + shift * np.eye(len(inside)))
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
        # A smaller penalty would be lost beside the largest eigenvalue in float32.
        penalty = np.maximum(penalty, _LEAST_PENALTY * scale * self.values[:1])
        inside = 1 / (scale * self.values[:, None] + penalty)
        return inside[-1], inside - inside[-1]


def eigenvalues(n_models: int, sharing: float, weight: float) -> tuple[float, float]:
    """Return the eigenvalues of B times a weight: of what the models have in common, and of their differences."""
    return float((1 + (n_models - 1) * sharing) * weight), float((1 - sharing) * weight)


def preconditioner(
    matrix: FloatArray, known: npt.NDArray[np.bool_], penalty: FloatArray, eigenvalues: tuple[float, float]
) -> Product:
    """Return the product with about the inverse of ``K B weight + penalty``, on the known pairs.

    Parameters
    ----------
    known : shape (n_bank, n_models, n_outputs)
    penalty : shape (n_outputs,)
    eigenvalues : see `eigenvalues`
    """
    sketch = Sketch.of(matrix)
    (beyond, excess), (beyond_own, excess_own) = (sketch.inverse(value, penalty) for value in eigenvalues)
    shape, (n_bank, n_models, _) = known.shape, known.shape

    def precondition(residual: FloatArray) -> FloatArray:
        of_pairs = residual.reshape(shape) * known
        inside = (sketch.vectors.T @ of_pairs.reshape(n_bank, -1)).reshape(-1, n_models, shape[2])
        common = inside.mean(axis=1, keepdims=True) * (excess - excess_own)[:, None]
        inside *= excess_own[:, None]
        inside += common
        improved = (sketch.vectors @ inside.reshape(len(inside), -1)).reshape(shape)
        improved += of_pairs.mean(axis=1, keepdims=True) * (beyond - beyond_own)
        of_pairs *= beyond_own
        improved += of_pairs
        improved *= known
        return improved.reshape(residual.shape)

    return precondition
