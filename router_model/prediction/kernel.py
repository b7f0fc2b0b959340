"""A kernel machine over logged prompts: it predicts a model's outcome from its outcomes on similar prompts.

Two prompts are similar if they are similar in topic, wording *and* form. So their kernel is a product of three::

    k(x, x') = exp(a (cos of embeddings - 1) + b (cos of bags - 1) - c |s - s'|^2 / (2 n_surface))

with standardised surface features s. The score is a ridge regression in the feature space of this kernel, which is the
mean of a Gaussian process with this covariance (Rasmussen & Williams 2006, chapter 2). Unlike a mean over neighbours,
it takes into account that ten copies of one prompt say less than ten different prompts. If no logged prompt is similar,
it falls back to the model's record.

Cosines, forms, kernel values and weights are on grids, and their sums are exact (`router_model.features.grid`). So the
score of a prompt has the same bits on every processor, alone or in a batch, with compiled code or without.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features.grid import on_grid

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

MAX_DEVIATIONS = 3.0  # limits the effect of one odd feature, which would make a prompt unlike all others
_MIN_DEVIATION = 1e-6  # a feature that varies less in training is left out:
_LEFT_OUT = 1e9  # a prompt in capitals must not be unlike all logged prompts because these are in lower case
_LEAST_STEP = 2.0**-126  # the smallest normal float32
_BLOCK_FLOATS = 2**16  # weights copied to float64 at once: half a MB, which stays in the processor's cache

MOST_WEIGHT = 2**15 - 1
"""Steps in the largest weight of a kernel machine, so that weights are integers of 16 bits."""

FORM_STEPS = 2**10
"""Steps per unit of a form's entries. A form has length 3 at most, so that float32 sums products of two exactly."""

KERNEL_STEPS = 2**20
"""Steps per unit of a kernel value. With weights of `MOST_WEIGHT` steps, float64 sums 2**18 logged prompts exactly."""

EXPONENT_STEPS = 2**16
"""Steps per unit of the exponent by which a kernel value is looked up; rounding changes the value by 8e-6 at most."""

LARGEST_EXPONENT = 16 * EXPONENT_STEPS
"""The largest exponent: from it on, the kernel is less than a tenth of its step."""

LOW_BITS = 11
"""Exponents are looked up in two tables: one for this number of low bits, and one for the bits above."""

_TABLE_STEPS = 2**26  # products of two table entries have 52 bits, which float64 holds


def _exponentials(step: int, n: int, scale: int) -> DoubleArray:
    """Return ``scale * exp(-i * step / EXPONENT_STEPS)`` for the first n integers i, rounded to the table's steps.

    Math libraries return exponentials with different last bits. The rounded values agree, because no exponential is
    within 1e-6 steps of a rounding boundary (a test checks this).
    """
    values = [round(math.exp(-i * step / EXPONENT_STEPS) * _TABLE_STEPS) for i in range(n)]
    return np.array(values, dtype=np.float64) * (scale / _TABLE_STEPS)


EXP_LOW = _exponentials(1, 2**LOW_BITS, 1)
EXP_HIGH = _exponentials(2**LOW_BITS, LARGEST_EXPONENT >> LOW_BITS, KERNEL_STEPS)
"""In steps of the kernel, so that the product with an entry of `EXP_LOW` is in these steps too."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """How fast the kernel falls with each kind of difference between prompts; 0 ignores that kind.

    Attributes
    ----------
    embedding, bag : float
        Factor of ``cosine similarity - 1``.
    surface : float
        Factor of half the mean squared difference of standardised surface features.
    """

    embedding: float = 2.0
    bag: float = 2.0
    surface: float = 1.0

    @property
    def sharpness(self) -> DoubleArray:
        """Return the three numbers rounded to float32, so that their products with cosines of 29 bits are exact."""
        return np.array([self.embedding, self.bag, self.surface], dtype=np.float32).astype(np.float64)

    def of(self, embedding: DoubleArray, bag: DoubleArray, form: FloatArray, logged_form: FloatArray) -> FloatArray:
        """Return the kernel of n prompts with logged ones, float32, shape (n, n_bank), in steps of `KERNEL_STEPS`.

        Products are exact, and they are added in the same order as in compiled code. So it makes no difference whether
        the processor rounds between multiplying and adding.

        Parameters
        ----------
        embedding, bag : shape (n, n_bank)
            Cosine similarities. Both are overwritten, because with thousands of logged prompts copies cost more than
            the arithmetic.
        form : shape (n, n_surface), see `SurfaceScale.form`
        logged_form : shape (n_surface + 1, n_bank), see `by_feature`
        """
        of_embedding, of_bag, of_surface = self.sharpness
        # -|s - s'|^2 / 2 = s s' - |s|^2 / 2 - |s'|^2 / 2, where the last is the last row of `logged_form`
        nearness = (form @ logged_form[:-1]).astype(np.float64)
        nearness += logged_form[-1]
        nearness -= (form**2).sum(axis=1, keepdims=True) / 2
        exponent, others = embedding, bag
        exponent *= of_embedding
        others *= of_bag
        exponent += others
        nearness *= of_surface
        exponent += nearness
        exponent -= of_embedding + of_bag
        return _exp(exponent)


@dataclass(frozen=True, slots=True)
class SurfaceScale:
    """Standardisation of surface features.

    Attributes
    ----------
    centre, deviation : float32 array, shape (n_surface,)
        Mean and standard deviation over training prompts. The deviation is huge if a feature is the same in all of
        them.
    """

    centre: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, surface: FloatArray) -> "SurfaceScale":
        """Measure it on features of shape (n, n_surface)."""
        exact = surface.astype(np.float64)  # so that the mean of a constant is exactly this constant
        deviation = exact.std(axis=0)
        deviation[deviation < _MIN_DEVIATION] = _LEFT_OUT
        return cls(exact.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def form(self, surface: FloatArray) -> FloatArray:
        """Return standardised features divided by the square root of their number, shape (n, n_surface).

        Squared distances are then mean squared differences, whatever the number of features. The values are on the grid
        of `FORM_STEPS`.
        """
        standard = (surface - self.centre) / self.deviation
        np.clip(standard, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=standard)
        standard /= np.sqrt(np.float32(surface.shape[1]))
        return on_grid(standard, FORM_STEPS)


def by_feature(form: FloatArray) -> FloatArray:
    """Transpose logged prompts' forms (n_bank, n_surface), with minus half their squared lengths as the last row.

    Forms are put on the grid of `FORM_STEPS`.

    >>> by_feature(np.array([[1.0, 2.0]], dtype=np.float32)).T.tolist()
    [[1.0, 2.0, -2.5]]
    """
    rounded = on_grid(form, FORM_STEPS)
    return np.ascontiguousarray(np.vstack([rounded.T, -0.5 * (rounded**2).sum(axis=1)]), dtype=np.float32)


def _exp(exponent: DoubleArray) -> FloatArray:
    """Return exponentials of numbers up to 0, in steps of `KERNEL_STEPS`; overwrites the numbers.

    Numpy's own exponentials differ in the last bits between processors.
    """
    exponent *= -EXPONENT_STEPS
    np.clip(exponent, 0, LARGEST_EXPONENT - 1, out=exponent)
    exponent += 0.5
    steps = exponent.astype(np.int32)
    value = np.take(EXP_HIGH, steps >> LOW_BITS, out=exponent, mode="clip")
    steps &= 2**LOW_BITS - 1
    value *= EXP_LOW.take(steps)
    value += 0.5
    np.floor(value, out=value)
    return np.multiply(value, 1 / KERNEL_STEPS, dtype=np.float32, casting="same_kind")


def steps_of(weights: FloatArray, most: int = MOST_WEIGHT) -> FloatArray:
    """Return the step for each column with which its rounded weights are integers up to `most`.

    The step is a power of two, so that floats hold its multiples exactly, and rounded weights have the same step.

    Parameters
    ----------
    weights : float32 array, shape (n_rows, ...)
    most : at least 1

    Returns
    -------
    float32 array, shape (...)

    Examples
    --------
    >>> steps_of(np.array([[30000.0, 32767.0, 0.0], [-40000.0, 0.1, 0.0]], dtype=np.float32)).tolist()
    [2.0, 1.0, 1.0]
    """
    largest = np.abs(weights).max(axis=0, initial=0.0).astype(np.float64)
    share, exponent = np.frexp(np.where(largest == 0.0, 1.0, largest / most))
    step = np.ldexp(1.0, exponent - (share == 0.5))  # noqa: PLR2004  a power of two is one half times the next
    return np.asarray(np.maximum(step, _LEAST_STEP), dtype=np.float32)


def rounded_weights(weights: FloatArray, most: int = MOST_WEIGHT) -> FloatArray:
    """Return weights rounded to multiples of `steps_of` them."""
    steps = steps_of(weights, most)
    rounded: FloatArray = np.rint(weights / steps)
    rounded *= steps
    return rounded


def exact_product(left: FloatArray, right: FloatArray) -> DoubleArray:
    """Return ``left @ right``, summed in float64; exact if float64 holds the sums of both grids' products.

    The right side is read some rows at a time, because a float64 copy of all of it would not fit the processor's cache.

    Parameters
    ----------
    left : shape (n, n_rows)
    right : shape (n_rows, n_columns)
    """
    n_rows, n_columns = right.shape
    total = np.zeros((len(left), n_columns))
    size = min(max(_BLOCK_FLOATS // max(n_columns, 1), 1), n_rows)
    block = np.empty((size, n_columns))
    for start in range(0, n_rows, max(size, 1)):
        some = right[start : start + size]
        block[: len(some)] = some
        total += left[:, start : start + size].astype(np.float64) @ block[: len(some)]
    return total


def sparse_product(left: sp.csr_array, right: FloatArray) -> DoubleArray:
    """Return `exact_product` for sparse rows, one at a time: each reads only a few rows of the right side."""
    total = np.empty((left.shape[0], right.shape[1]))
    for row in range(len(total)):
        start, end = left.indptr[row : row + 2]
        entries = left.data[start:end].astype(np.float64)
        total[row] = entries @ right[left.indices[start:end]].astype(np.float64)
    return total


@dataclass(frozen=True, slots=True)
class KernelHead:
    """Kernel ridge regressions of the outcomes, one for each penalty.

    Attributes
    ----------
    kernel : Kernel
    scale : SurfaceScale
    logged_form : float32 array, shape (n_surface + 1, n_bank)
        Forms of the bank's prompts, see `by_feature`; on the grid of forms.
    penalties : ascending
        A lower penalty follows the logged outcomes more closely. That suits the difficulty of a prompt, which all
        models' outcomes show, better than the question which model is better on it.
    weights : float32 array, shape (n_bank, n_models, n_targets, n_penalties)
        Weights of the bank's prompts, rounded to multiples of their `steps_of`, because compiled code reads integers.
    """

    kernel: Kernel
    scale: SurfaceScale
    logged_form: FloatArray
    penalties: tuple[float, ...]
    weights: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "logged_form", by_feature(self.logged_form[:-1].T))
        object.__setattr__(self, "weights", rounded_weights(self.weights))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds of evidence."""
        return tuple(f"kernel_{penalty:g}" for penalty in self.penalties)

    def values(self, embedding: DoubleArray, bag: DoubleArray, surface: FloatArray) -> FloatArray:
        """Return the kernel of prompts with the bank's, shape (n, n_bank).

        Parameters
        ----------
        embedding, bag : shape (n, n_bank), similarities with the bank's prompts; both are overwritten
        surface : shape (n, n_surface), surface features
        """
        return self.kernel.of(embedding, bag, self.scale.form(surface), self.logged_form)

    def deviations(self, kernel: FloatArray) -> DoubleArray:
        """Return the predicted deviations from the models' records, shape (n, n_models, n_targets, n_penalties).

        Parameters
        ----------
        kernel : shape (n, n_bank), from `values`
        """
        n_bank, *shape = self.weights.shape
        product = exact_product(kernel, self.weights.reshape(n_bank, math.prod(shape)))
        return product.reshape(len(kernel), *shape)
