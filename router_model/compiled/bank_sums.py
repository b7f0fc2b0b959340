"""Sums over all logged prompts: what most of a decision's time goes into, at the speed of memory.

BLAS has products of one vector and a matrix, too, and may wake threads for it, which costs concurrent callers more
than it gains one (docs/decisions/0003). Embeddings and the kernel's weights are integers of 16 bits, half the memory of
floats (`router_model.similarity.on_grid`, `router_model.kernel.steps_of`).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Array = np.ndarray[Any, np.dtype[Any]]


class LoggedPrompts(NamedTuple):
    """What one prompt is compared with.

    Attributes
    ----------
    embeddings : int16 array, shape (n_bank, dimension), in steps of the grid
    common_row : int64 array, shape (n_terms,)
        Of a common term in `common`, -1 of others.
    common : float32 array, shape (n_common, n_bank)
        The weights of common terms in the logged prompts' bags.
    start, prompt, weight : inverted index (CSR): where a term's list starts, its prompts (unsigned) and their weights
    form : float32 array, shape (n_surface + 1, n_bank), see `router_model.kernel.by_feature`
    centre, deviation : float32 array, shape (n_surface,), as in `router_model.kernel.SurfaceScale`
    sharpness : float32 array, shape (3,), of the kernel: embedding, bag, surface
    step : float32, squared: what a product of two integers is in cosines
    max_deviations : float32, see `router_model.kernel.SurfaceScale.form`
    """

    embeddings: npt.NDArray[np.int16]
    common_row: IntArray
    common: FloatArray
    start: Array
    prompt: Array
    weight: FloatArray
    form: FloatArray
    centre: FloatArray
    deviation: FloatArray
    sharpness: FloatArray
    step: np.float32
    max_deviations: np.float32


class Weights(NamedTuple):
    """What evidence is summed with, a column a (model, target), and the kernel's a (model, target, penalty).

    Attributes
    ----------
    embedding : float32 array, shape (dimension, n_columns)
    bag : float32 array, shape (n_terms, n_columns)
    kernel : int16 array, shape (n_bank, n_columns * n_penalties), in steps
    kernel_step : float32 array, shape (n_columns * n_penalties,), see `router_model.kernel.steps_of`
    bias : float32 array, shape (n_models, n_targets, 2 + n_penalties)
    """

    embedding: FloatArray
    bag: FloatArray
    kernel: npt.NDArray[np.int16]
    kernel_step: FloatArray
    bias: FloatArray


def weighted_rows(values: FloatArray, rows: IntArray, matrix: Array) -> FloatArray:
    """Return ``values @ matrix[rows]``, float32, shape (n_columns,).

    Parameters
    ----------
    values, rows : shape (n,)
    matrix : float32 or int16 array, shape (n_rows, n_columns)
    """
    return np.asarray(_weighted_rows(values, rows, matrix))


def exponents(
    embedding: npt.NDArray[np.int16], terms: IntArray, weights: FloatArray, surface: FloatArray, logged: LoggedPrompts
) -> tuple[FloatArray, float, float]:
    """Return the logarithm of the kernel, shape (n_bank,), and the cosines of the nearest logged prompts.

    Parameters
    ----------
    embedding : int16 array, shape (dimension,), in steps of the grid
    terms, weights : shape (n_known,), see `router_model.compiled.terms.Bag`
    surface : float32 array, shape (n_surface,)
    logged : LoggedPrompts
    """
    return _exponents(embedding, terms, weights, surface, logged)  # type: ignore[no-any-return]


def scores(
    embedding: FloatArray, terms: IntArray, weights: FloatArray, kernel: FloatArray, summed: Weights
) -> FloatArray:
    """Return every kind of evidence, shape (n_models, n_targets, n_kinds).

    Parameters
    ----------
    embedding : float32 array, shape (dimension,)
    terms, weights : shape (n_known,)
    kernel : float32 array, shape (n_bank,)
    summed : Weights
    """
    return np.asarray(_scores(embedding, terms, weights, kernel, summed))


@compiled
def _weighted_rows(values, rows, matrix):
    total = np.zeros(matrix.shape[1], dtype=np.float32)
    _add_rows(total, values, rows, matrix)
    return total


@compiled
def _add_rows(total, values, rows, matrix):
    whole = len(rows) // 4 * 4  # four rows at a time, as each time the sum is read and written
    for each in range(0, whole, 4):
        first, second = matrix[rows[each]], matrix[rows[each + 1]]
        third, fourth = matrix[rows[each + 2]], matrix[rows[each + 3]]
        a, b, c, d = values[each], values[each + 1], values[each + 2], values[each + 3]
        for column in range(len(total)):
            in_pairs = a * np.float32(first[column]) + b * np.float32(second[column])
            total[column] += in_pairs + (c * np.float32(third[column]) + d * np.float32(fourth[column]))
    for each in range(whole, len(rows)):
        row, own = matrix[rows[each]], values[each]
        for column in range(len(total)):
            total[column] += own * np.float32(row[column])


@compiled
def _exponents(embedding, terms, weights, surface, logged):
    n_bank = len(logged.embeddings)
    of_embedding, of_bag, _ = logged.sharpness
    products = _products(embedding, logged.embeddings)
    bags = _bag_cosines(terms, weights, logged, n_bank)
    exponent, constant = _nearness(surface, logged, n_bank)
    constant -= of_embedding + of_bag
    of_product = of_embedding * logged.step
    for row in range(n_bank):
        exponent[row] += of_product * np.float32(products[row]) + of_bag * bags[row] + constant
    nearest, nearest_bag = np.float32(-1), np.float32(-1)  # beside an empty bank
    if n_bank:
        nearest, nearest_bag = np.float32(products.max()) * logged.step, bags.max()
    return exponent, nearest, nearest_bag


@compiled
def _products(embedding, embeddings):
    """Return products of integers: of vectors up to unit length they are at most the grid's steps squared, 2**28."""
    found = np.empty(len(embeddings), dtype=np.int32)
    for row in range(len(embeddings)):
        total = np.int32(0)
        for each in range(len(embedding)):
            total = np.int32(total + np.int32(np.int32(embedding[each]) * np.int32(embeddings[row, each])))
        found[row] = total
    return found


@compiled
def _bag_cosines(terms, weights, logged, n_bank):
    found = np.zeros(n_bank, dtype=np.float32)
    common = logged.common_row[terms]
    _add_rows(found, weights[common >= 0], common[common >= 0], logged.common)
    for each in range(len(terms)):
        if common[each] < 0:
            own, entries = weights[each], slice(logged.start[terms[each]], logged.start[terms[each] + 1])
            prompts, logged_weights = logged.prompt[entries], logged.weight[entries]
            for entry in range(len(prompts)):
                found[prompts[entry]] += own * logged_weights[entry]
    return found


@compiled
def _nearness(surface, logged, n_bank):
    """Return minus half the squared distances of forms times their sharpness, in two parts: a row's and a constant."""
    n, sharpness = len(surface), logged.sharpness[2]
    found, own = np.zeros(n_bank, dtype=np.float32), np.empty(n + 1, dtype=np.float32)
    own[n], square = sharpness, np.float32(0)
    for each in range(n):
        deviations = (surface[each] - logged.centre[each]) / logged.deviation[each]
        deviations = min(max(deviations, -logged.max_deviations), logged.max_deviations)
        form = np.float32(deviations / np.sqrt(np.float32(n)))
        own[each] = sharpness * form
        square += form * form
    different = np.flatnonzero(own)
    _add_rows(found, own[different], different, logged.form)
    return found, -sharpness / np.float32(2) * square


@compiled
def _scores(embedding, terms, weights, kernel, summed):
    values = summed.bias.copy()
    n_models, n_targets, n_kinds = values.shape
    by_embedding = _weighted_rows(embedding, np.arange(len(embedding)), summed.embedding)
    by_bag = _weighted_rows(weights, terms, summed.bag)
    by_kernel = _weighted_rows(kernel, np.arange(len(kernel)), summed.kernel) * summed.kernel_step
    for model in range(n_models):
        for target in range(n_targets):
            column = model * n_targets + target
            values[model, target, 0] += by_embedding[column]
            values[model, target, 1] += by_bag[column]
            for penalty in range(n_kinds - 2):
                values[model, target, 2 + penalty] += by_kernel[column * (n_kinds - 2) + penalty]
    return values
