"""Fit the kernel machine: ridge regression in the kernel's feature space, with missing pairs.

For an output with weights w on the n prompts, ``sum_i w_i (f(x_i) - y_i)^2 + penalty |f|^2`` is least for
``f = sum_i alpha_i k(x_i, .)`` with ``alpha = W^1/2 u``, ``(W^1/2 K W^1/2 + penalty) u = W^1/2 y``. This system is
symmetric and positive definite, so conjugate gradients solve it for all outputs and penalties at once. A missing pair
has weight 0. The largest eigenvalues of K, found from a sketch, make a preconditioner: 7 products then do what 37 to
55 did where every pair is known, and 6 or 7 what 24 to 39 did where half of them are (docs/decisions/0060 and 0073).

Models share strength: each one's function is the sum of one that all models have in common and one of its own, with
variances `sharing` and ``1 - sharing``. So the pairs (i, a) and (j, b) of prompts and models have the kernel
``K_ij B_ab``, where ``B = sharing 11' + (1 - sharing) I`` (a model of coregionalisation; Alvarez, Rosasco & Lawrence
2012), and all known pairs are one system. Where a log has one model's outcome of a prompt, the others learn from it,
too. B is multiplied into the weights, so a decision does not know about it. With `sharing` 0, each model is fitted
alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.prediction.evidence import Bank
from router_model.prediction.kernel import Kernel
from router_model.prediction.similarity import Vectors, comparer, on_grid
from router_model.prediction.threads import in_parallel
from router_model.training.fitting.conjugate_gradients import solve
from router_model.training.fitting.preconditioner import Sketch, preconditioner

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_TOLERANCE = 0.03  # of the residual; 0.01 and 0.001 changed no held-out figure (docs/decisions/0063)
_CHUNK = 512  # rows of the matrix that are computed at once


def kernel_matrix(kernel: Kernel, embedding: Vectors, bags: Vectors, logged_form: FloatArray) -> FloatArray:
    """Return the kernel of n prompts with each other, float32, shape (n, n).

    Parameters
    ----------
    embedding, bags : vectors of the prompts, shape (n, dimension)
    logged_form : shape (n_surface + 1, n), see `router_model.prediction.kernel.by_feature`
    """
    return compare_all(kernel, embedding, bags, logged_form)[0]


def compare_all(
    kernel: Kernel, embedding: Vectors, bags: Vectors, logged_form: FloatArray, partitions: Sequence[Labels] = ()
) -> tuple[FloatArray, list[DoubleArray]]:
    """Return the kernel of n prompts with each other, as `kernel_matrix`, and how near the parts of them are.

    Parameters
    ----------
    partitions : each a number from 0 for every prompt, shape (n,)

    Returns
    -------
    matrix : float32 array, shape (n, n)
    nearest : one float64 array for each partition, shape (n, n_parts, 2)
        Cosine similarity of each prompt's embedding and bag with the nearest of each part; -1 for an empty part.
    """
    n, by_dimension, by_term = embedding.shape[0], on_grid(np.asarray(embedding.T)), sp.csr_array(bags.T)
    compare, compare_bags = comparer(by_dimension, n), comparer(by_term, n)
    form = np.ascontiguousarray(logged_form[:-1].T)
    matrix = np.empty((n, n), dtype=np.float32)
    members = [[np.flatnonzero(part == number) for number in range(part.max(initial=-1) + 1)] for part in partitions]
    nearest = [np.full((n, len(parts), 2), -1.0) for parts in members]

    def fill(start: int) -> None:
        rows = slice(start, start + _CHUNK)
        likeness = compare(embedding[rows]), compare_bags(bags[rows])
        for found, parts in zip(nearest, members, strict=True):
            for part, columns in enumerate(parts):
                for space, similarity in enumerate(likeness):
                    found[rows, part, space] = similarity.take(columns, axis=1).max(axis=1, initial=-1.0)
        matrix[rows] = kernel.of(*likeness, form[rows], logged_form)

    in_parallel(fill, range(0, n, _CHUNK))
    return matrix, nearest


def fit_weights(
    matrix: FloatArray,
    bank: Bank,
    penalties: Sequence[float],
    *,
    sharing: float = 0.0,
    tolerance: float = _TOLERANCE,
    sketch: Sketch | None = None,
) -> FloatArray:
    """Fit the weights of a bank's prompts, float32, shape (n_bank, n_models, n_targets, n_penalties).

    Parameters
    ----------
    matrix : shape (n_bank, n_bank), kernel of the bank's prompts with each other
    penalties : factors of the squared norm of f
    sharing : share of the variance that all models have in common, from 0 to below 1
    sketch : of the matrix; whoever fits several banks on it makes one for all
    """
    n_penalties, (n_bank, n_models, n_targets) = len(penalties), bank.outcome.shape
    shape = (n_bank, n_models, n_targets * n_penalties)
    if n_bank == 0:
        return np.zeros((*bank.outcome.shape, n_penalties), dtype=np.float32)
    root: FloatArray = np.sqrt(np.repeat(bank.weight, n_penalties, axis=2))
    right = root * np.repeat(bank.outcome - bank.base, n_penalties, axis=2)
    penalty = np.tile(np.array(penalties, dtype=np.float32), n_targets)

    def between(values: FloatArray) -> FloatArray:
        """Multiply by B along the models."""
        return np.asarray(sharing * values.sum(axis=1, keepdims=True) + (1 - sharing) * values, dtype=np.float32)

    def product(direction: FloatArray) -> FloatArray:
        of_models = between(root * direction.reshape(shape)).reshape(n_bank, n_models * shape[2])
        image = (matrix @ of_models).reshape(shape)
        image *= root
        image += penalty * direction.reshape(shape)
        return image.reshape(direction.shape)

    # One system for each target and penalty: its unknowns are the pairs of prompts and models.
    start = right.reshape(n_bank * n_models, shape[2])
    precondition = preconditioner(matrix, root, penalty, sharing, sketch)
    found = solve(product, start, tolerance=tolerance, precondition=precondition).reshape(shape)
    found *= root
    return np.asarray(between(found).reshape(*bank.outcome.shape, n_penalties), dtype=np.float32)
