"""A rough inverse of the kernel machine's systems, so that conjugate gradients need few steps.

The largest eigenvalues of a kernel matrix K are found from its products with a few random directions. The inverse of
``scale K + penalty`` is then nearly right where K has its large eigenvalues, and a multiple of the identity elsewhere
(Frangella, Tropp & Udell 2023, "Randomized Nystrom preconditioning", algorithm 2.1 and section 5). Where pairs of
prompts and models are missing, each model has another part of K, whose eigenvectors are not orthogonal any more. A
small system for all models together takes that into account.
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


def preconditioner(
    matrix: FloatArray, root: FloatArray, penalty: FloatArray, sharing: float, sketch: Sketch | None = None
) -> Product:
    """Return the product with about the inverse of ``D (K x B) D + penalty``, where D has the roots of the weights.

    B says how models share strength (`router_model.training.fitting.kernel`), and pairs without an outcome have the
    root 0.

    Parameters
    ----------
    matrix : shape (n_bank, n_bank), K
    root : shape (n_bank, n_models, n_outputs)
    penalty : shape (n_outputs,)
    sharing : from 0 to below 1
    sketch : of K, if it was made before
    """
    sketch = sketch or Sketch.of(matrix)
    if np.all(root == 1):
        return _of_all_pairs(sketch, root.shape, penalty, sharing)
    made: list[_SomePairs] = []
    for known, each in zip(np.moveaxis(root, 2, 0), penalty.tolist(), strict=True):
        same = (one for one in made if one.penalty == each and np.array_equal(one.root, known))  # of another bar
        made.append(next(same, None) or _SomePairs.of(matrix, sketch, np.ascontiguousarray(known), each, sharing))

    def precondition(residual: FloatArray) -> FloatArray:
        of_pairs = residual.reshape(root.shape)
        return np.stack([one.solve(of_pairs[:, :, j]) for j, one in enumerate(made)], axis=2).reshape(residual.shape)

    return precondition


def _of_all_pairs(sketch: Sketch, shape: tuple[int, ...], penalty: FloatArray, sharing: float) -> Product:
    """Return the product with about the inverse of ``K x B + penalty``, where every pair is known, with weight 1."""
    n_bank, n_models, n_outputs = shape
    # Eigenvalues of B: of what the models have in common, and of their differences.
    (beyond, excess), (beyond_own, excess_own) = (
        sketch.inverse(value, penalty) for value in (1 + (n_models - 1) * sharing, 1 - sharing)
    )

    def precondition(residual: FloatArray) -> FloatArray:
        of_pairs = residual.reshape(shape)
        inside = (sketch.vectors.T @ of_pairs.reshape(n_bank, -1)).reshape(-1, n_models, n_outputs)
        common = inside.mean(axis=1, keepdims=True) * (excess - excess_own)[:, None]
        inside *= excess_own[:, None]
        inside += common
        improved = (sketch.vectors @ inside.reshape(len(inside), -1)).reshape(shape)
        improved += of_pairs.mean(axis=1, keepdims=True) * (beyond - beyond_own)
        improved += of_pairs * beyond_own
        return improved.reshape(residual.shape)

    return precondition


@dataclass(frozen=True, slots=True)
class _SomePairs:
    """The inverse for one output, where each model knows prompts of its own.

    K is taken for ``V V' + rest I``, where V has the eigenvectors of its largest eigenvalues. Without V V', the prompts
    are independent, and each has the inverse of a diagonal matrix plus one of rank 1 (Sherman & Morrison 1950). The
    rest has rank n_vectors x n_models (Woodbury 1950).

    Attributes
    ----------
    root : shape (n_bank, n_models)
    penalty : above 0
    inverse : shape (n_bank, n_models), of the diagonal
    shared : shape (n_bank, 1), factor of what each prompt's models share
    vectors : V, shape (n_bank, n_vectors)
    core : shape (n_models * n_vectors, n_models * n_vectors)
    """

    root: FloatArray
    penalty: float
    inverse: FloatArray
    shared: FloatArray
    vectors: FloatArray
    core: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray, sketch: Sketch, root: FloatArray, penalty: float, sharing: float) -> "_SomePairs":
        n_bank, n_models = root.shape
        # Finding the core then takes as long as two products of the matrix with the weights.
        rank = min(max(int(np.sqrt(2 * n_bank / n_models)), 1), len(sketch.values))
        rest = np.float32(max(np.trace(matrix) - sketch.values[:rank].sum(), 0) / max(n_bank - rank, 1))
        lengths = np.sqrt(np.maximum(sketch.values[:rank] - rest, 0))
        vectors = np.asarray(sketch.vectors[:, :rank] * lengths, dtype=np.float32)
        penalty = max(penalty, _LEAST_PENALTY * float(sketch.values[0]))
        inverse = np.asarray(1 / (rest * np.float32(1 - sharing) * root**2 + np.float32(penalty)), dtype=np.float32)
        of_pair = inverse * root**2
        joint = rest * np.float32(sharing)
        shared = np.asarray(joint / (1 + joint * of_pair.sum(axis=1, keepdims=True)), dtype=np.float32)
        wide = ((np.sqrt(shared) * of_pair)[:, :, None] * vectors[:, None]).reshape(n_bank, -1)
        core = -(wide.T @ wide).astype(np.float64).reshape(n_models, rank, n_models, rank)
        for model in range(n_models):
            core[model, :, model] += (vectors * of_pair[:, model, None]).T @ vectors
        apart = (np.eye(n_models) - sharing / (1 + (n_models - 1) * sharing)) / (1 - sharing)  # the inverse of B
        core = core.reshape(n_models * rank, -1) + np.kron(apart, np.eye(rank))
        return cls(root, penalty, inverse, shared, vectors, np.linalg.inv(core).astype(np.float32))

    def solve(self, residual: FloatArray) -> FloatArray:
        """Return about the solution for a right-hand side of shape (n_bank, n_models)."""
        apart = self._apart(residual)
        inside = self.core @ ((self.root * apart).T @ self.vectors).reshape(-1)
        explained = np.asarray(self.vectors @ inside.reshape(self.root.shape[1], -1).T, dtype=np.float32)
        apart -= self._apart(self.root * explained)
        return apart

    def _apart(self, values: FloatArray) -> FloatArray:
        """Solve for each prompt alone."""
        solved: FloatArray = self.inverse * values
        solved -= self.inverse * self.root * (self.shared * (self.root * solved).sum(axis=1, keepdims=True))
        return solved
