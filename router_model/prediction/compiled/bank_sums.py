"""Compiled sums over all logged prompts, which take most of the time of a decision.

The sums run at the speed of memory. BLAS could multiply a vector by a matrix too, but it may wake threads, which costs
concurrent callers more than it gains one of them (docs/decisions/0003). Vectors, forms and the kernel's weights are on
grids (multiples of a fixed step), so they are stored as integers of 16 bits, in half the memory of floats. Sums are
exact, as integers of 32 bits or in float64. So they equal the sums of decisions without compiled code to the last bit
(`router_model.features.grid`).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.prediction.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
StepArray = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int64]
Array = np.ndarray[Any, np.dtype[Any]]


class LoggedPrompts(NamedTuple):
    """The logged prompts, laid out for comparing one prompt with them.

    Attributes
    ----------
    embeddings : int16 array, shape (n_bank, dimension), in steps of the grid
    common_row : int64 array, shape (n_terms,)
        The row of a common term in `common`; -1 for other terms.
    common : int16 array, shape (n_common, n_bank), in steps of the grid
        The weights of common terms in the logged prompts' bags.
    start, prompt, weight : inverted index (CSR)
        Where a term's list starts, its prompts (unsigned) and their weights (int16, in steps of the grid).
    form : int16 array, shape (n_surface, n_bank), in `router_model.prediction.kernel.FORM_STEPS`
    sharpness : float64 array, shape (3,), of the kernel: embedding, bag, surface
    cosine_step : float, the cosine that a product of integers of 1 stands for
    form_step : float, half of the same for forms
    exponent_steps, low_bits, exp_low, exp_high : see `router_model.prediction.kernel`
    """

    embeddings: StepArray
    common_row: IntArray
    common: StepArray
    start: Array
    prompt: Array
    weight: StepArray
    form: StepArray
    sharpness: DoubleArray
    cosine_step: float
    form_step: float
    exponent_steps: float
    low_bits: int
    exp_low: DoubleArray
    exp_high: DoubleArray


class Weights(NamedTuple):
    """The weights of the sums: a column for each (model, target); in the kernel for each (model, target, penalty).

    Attributes
    ----------
    embedding : float32 array, shape (dimension, n_columns)
    bag : float32 array, shape (n_terms, n_columns)
    kernel : int16 array, shape (n_bank, n_columns * n_penalties or a few more), in steps
        Columns of zeros pad the rows to whole vector registers.
    kernel_step : float64 array, shape (n_columns * n_penalties,)
        The score that one step of a kernel value times one step of a weight stands for.
    vector_step : float, see `router_model.features.grid.GRID_STEPS`
    bias : float32 array, shape (n_models, n_targets, 2 + n_penalties)
    """

    embedding: FloatArray
    bag: FloatArray
    kernel: npt.NDArray[np.int16]
    kernel_step: DoubleArray
    vector_step: float
    bias: FloatArray


def weighted_rows(values: DoubleArray, rows: IntArray, matrix: Array) -> DoubleArray:
    """Return ``values @ matrix[rows]``, float64, shape (n_columns,).

    Parameters
    ----------
    values, rows : shape (n,)
    matrix : float32 or int16 array, shape (n_rows, n_columns)
    """
    return np.asarray(_weighted_rows(values, rows, matrix))


def kernel_values(
    embedding: StepArray, terms: IntArray, weights: StepArray, form: StepArray, logged: LoggedPrompts
) -> tuple[DoubleArray, float, float]:
    """Return the kernel in its steps, shape (n_bank,), and the cosines of the nearest logged prompts.

    Parameters
    ----------
    embedding : int16 array, shape (dimension,), in steps of the grid
    terms, weights : shape (n_known,), see `router_model.prediction.compiled.terms.Bag`
    form : int16 array, shape (n_surface,), see `router_model.prediction.kernel.SurfaceScale.form`
    logged : LoggedPrompts
    """
    return _kernel_values(embedding, terms, weights, form, logged)  # type: ignore[no-any-return]


def scores(
    embedding: StepArray, terms: IntArray, weights: StepArray, kernel: DoubleArray, summed: Weights
) -> DoubleArray:
    """Return every kind of evidence, shape (n_models, n_targets, n_kinds).

    Parameters
    ----------
    embedding : int16 array, shape (dimension,)
    terms, weights : shape (n_known,)
    kernel : float64 array, shape (n_bank,), in steps
    summed : Weights
    """
    return np.asarray(_scores(embedding, terms, weights, kernel, summed))


@compiled
def _weighted_rows(values, rows, matrix):
    total = np.zeros(matrix.shape[1])
    _add_rows(total, values, rows, matrix)
    return total


@compiled
def _add_rows(total, values, rows, matrix):
    """Add rows times values in the total's type, int32 or float64; numba would widen int32, which halves the speed."""
    number = total.dtype.type
    whole = len(rows) // 4 * 4  # four rows at a time, because each pass reads and writes the whole sum
    for each in range(0, whole, 4):
        first, second = matrix[rows[each]], matrix[rows[each + 1]]
        third, fourth = matrix[rows[each + 2]], matrix[rows[each + 3]]
        a, b, c, d = values[each], values[each + 1], values[each + 2], values[each + 3]
        for column in range(len(total)):
            upper = number(number(a * number(first[column])) + number(b * number(second[column])))
            lower = number(number(c * number(third[column])) + number(d * number(fourth[column])))
            total[column] = number(total[column] + number(upper + lower))
    for each in range(whole, len(rows)):
        row, own = matrix[rows[each]], values[each]
        for column in range(len(total)):
            total[column] = number(total[column] + number(own * number(row[column])))


@compiled
def _kernel_values(embedding, terms, weights, form, logged):
    n_bank = len(logged.embeddings)
    products = _products(embedding, logged.embeddings)
    bags = _bag_products(terms, weights, logged, n_bank)
    kernel = _looked_up(_exponents(products, bags, _squared_distances(form, logged.form), logged), logged)
    nearest, nearest_bag = -1.0, -1.0  # the bank may be empty
    if n_bank:
        nearest, nearest_bag = products.max() * logged.cosine_step, bags.max() * logged.cosine_step
    return kernel, nearest, nearest_bag


@compiled
def _exponents(products, bags, distances, logged):
    """Compute the kernel's exponents from exact products, added in the order of `prediction.kernel.Kernel.of`."""
    of_embedding, of_bag, of_surface = logged.sharpness
    largest = float(len(logged.exp_low) * len(logged.exp_high) - 1)
    steps = np.empty(len(products), dtype=np.int32)
    for row in range(len(products)):
        exponent = of_embedding * (products[row] * logged.cosine_step) + of_bag * (bags[row] * logged.cosine_step)
        exponent = exponent + of_surface * (-logged.form_step * distances[row])
        exponent = (exponent - (of_embedding + of_bag)) * -logged.exponent_steps
        steps[row] = np.int32(min(max(exponent, 0.0), largest) + 0.5)
    return steps


@compiled
def _looked_up(steps, logged):
    """Look up exponentials, in a separate loop so that the loop above can use vector instructions."""
    kernel = np.empty(len(steps))
    low_bits, mask = np.uint32(logged.low_bits), np.uint32(len(logged.exp_low) - 1)
    for row in range(len(steps)):
        own = np.uint32(steps[row])  # an unsigned index needs no test for counting from the end
        product = logged.exp_high[np.uint64(own >> low_bits)] * logged.exp_low[np.uint64(own & mask)]
        kernel[row] = np.int32(product + 0.5)
    return kernel


@compiled
def _products(embedding, embeddings):
    """Return inner products of integers; for unit vectors they are at most 2**28, the square of the grid's steps."""
    found = np.empty(len(embeddings), dtype=np.int32)
    for row in range(len(embeddings)):
        total = np.int32(0)
        for each in range(len(embedding)):
            total = np.int32(total + np.int32(np.int32(embedding[each]) * np.int32(embeddings[row, each])))
        found[row] = total
    return found


@compiled
def _bag_products(terms, weights, logged, n_bank):
    found = np.zeros(n_bank, dtype=np.int32)
    common = logged.common_row[terms]
    _add_rows(found, weights[common >= 0].astype(np.int32), common[common >= 0], logged.common)
    for each in range(len(terms)):
        if common[each] < 0:
            own, entries = np.int32(weights[each]), slice(logged.start[terms[each]], logged.start[terms[each] + 1])
            prompts, logged_weights = logged.prompt[entries], logged.weight[entries]
            for entry in range(len(prompts)):
                found[prompts[entry]] += np.int32(own * np.int32(logged_weights[entry]))
    return found


@compiled
def _squared_distances(form, forms):
    """Return squared distances of integers; for forms up to length 3 they are at most 36 of their steps squared."""
    found = np.zeros(forms.shape[1], dtype=np.int32)
    for each in range(len(form)):
        own, row = np.int32(form[each]), forms[each]
        for column in range(len(found)):
            apart = np.int32(own - np.int32(row[column]))
            found[column] = np.int32(found[column] + np.int32(apart * apart))
    return found


@compiled
def _scores(embedding, terms, weights, kernel, summed):
    values = summed.bias.astype(np.float64)
    n_models, n_targets, n_kinds = values.shape
    by_embedding = _weighted_rows(embedding.astype(np.float64), np.arange(len(embedding)), summed.embedding)
    by_bag = _weighted_rows(weights.astype(np.float64), terms, summed.bag)
    n_columns = len(summed.kernel_step)
    by_kernel = _weighted_rows(kernel, np.arange(len(kernel)), summed.kernel)[:n_columns] * summed.kernel_step
    for model in range(n_models):
        for target in range(n_targets):
            column = model * n_targets + target
            values[model, target, 0] += by_embedding[column] * summed.vector_step
            values[model, target, 1] += by_bag[column] * summed.vector_step
            for penalty in range(n_kinds - 2):
                values[model, target, 2 + penalty] += by_kernel[column * (n_kinds - 2) + penalty]
    return values
