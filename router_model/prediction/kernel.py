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

MAX_DEVIATIONS = 3.0  # one odd feature must not make a prompt unlike everything
_MIN_DEVIATION = 1e-6  # a feature that varies less was never compared by, and is left out:
_LEFT_OUT = 1e9  # logs of lower-case prompts must not make one in capitals unlike them all
_LEAST_STEP = 2.0**-126  # the least that float32 holds in full
_BLOCK_FLOATS = 2**16  # of weights as float64, half a MB, so that a copy stays in the processor's cache

MOST_WEIGHT = 2**15 - 1
"""Steps of the largest weight of a kernel machine: an integer of 16 bits."""

FORM_STEPS = 2**10
"""Steps in 1 of a form's entries. A form has length 3 at most, so that float32 sums products of two exactly."""

KERNEL_STEPS = 2**20
"""Steps in 1 of a kernel value. With weights of `MOST_WEIGHT` steps, float64 sums 2**18 logged prompts exactly."""

EXPONENT_STEPS = 2**16
"""Steps in 1 of the exponent that a kernel value is looked up by, which moves it by 8e-6 of itself at most."""

LARGEST_EXPONENT = 16 * EXPONENT_STEPS
"""From it on the kernel is 0 but for a tenth of its step."""

LOW_BITS = 11
"""An exponent is looked up in two tables: by these bits, and by those above."""

_TABLE_STEPS = 2**26  # products of two entries have 52 bits, which float64 holds


def _exponentials(step: int, n: int, scale: int) -> DoubleArray:
    """Return ``scale * exp(-i * step / EXPONENT_STEPS)`` of the first n integers i, rounded to the table's steps.

    Exponentials differ in the last bits from one library to the next. Their rounded values do not: none is within 1e-6
    steps of the middle between two (a test checks it).
    """
    values = [round(math.exp(-i * step / EXPONENT_STEPS) * _TABLE_STEPS) for i in range(n)]
    return np.array(values, dtype=np.float64) * (scale / _TABLE_STEPS)


EXP_LOW = _exponentials(1, 2**LOW_BITS, 1)
EXP_HIGH = _exponentials(2**LOW_BITS, LARGEST_EXPONENT >> LOW_BITS, KERNEL_STEPS)
"""In steps of the kernel, so that the product with an entry of `EXP_LOW` is."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """How fast prompts stop being alike, by what they differ in; 0 leaves a kind of difference out.

    Attributes
    ----------
    embedding, bag : float
        Of ``cosine similarity - 1``.
    surface : float
        Of half the mean squared difference of standardised surface features.
    """

    embedding: float = 2.0
    bag: float = 2.0
    surface: float = 1.0

    @property
    def sharpness(self) -> DoubleArray:
        """Return the three numbers with the bits of float32: their products with cosines of 29 bits are exact."""
        return np.array([self.embedding, self.bag, self.surface], dtype=np.float32).astype(np.float64)

    def of(self, embedding: DoubleArray, bag: DoubleArray, form: FloatArray, logged_form: FloatArray) -> FloatArray:
        """Return the kernel of n prompts with logged ones, float32, shape (n, n_bank), in steps of `KERNEL_STEPS`.

        Products are exact and are added in one order, in compiled decisions, too; whether the processor rounds between
        the two then makes no difference.

        Parameters
        ----------
        embedding, bag : shape (n, n_bank)
            Cosine similarities. Both are overwritten: at thousands of logged prompts copies cost more than the
            arithmetic.
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
        Mean and standard deviation over training prompts; huge where a feature is the same in all of them.
    """

    centre: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, surface: FloatArray) -> "SurfaceScale":
        """Measure it on features of shape (n, n_surface)."""
        exact = surface.astype(np.float64)  # so that a constant is its own mean
        deviation = exact.std(axis=0)
        deviation[deviation < _MIN_DEVIATION] = _LEFT_OUT
        return cls(exact.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def form(self, surface: FloatArray) -> FloatArray:
        """Return standardised features over the root of their number, shape (n, n_surface).

        Squared distances are then mean squared differences, whatever the number of features. On the grid of
        `FORM_STEPS`.
        """
        standard = (surface - self.centre) / self.deviation
        np.clip(standard, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=standard)
        standard /= np.sqrt(np.float32(surface.shape[1]))
        return on_grid(standard, FORM_STEPS)


def by_feature(form: FloatArray) -> FloatArray:
    """Return logged prompts' forms (n_bank, n_surface) as rows of features, and minus half their squared lengths.

    Forms are put on the grid of `FORM_STEPS`.

    >>> by_feature(np.array([[1.0, 2.0]], dtype=np.float32)).T.tolist()
    [[1.0, 2.0, -2.5]]
    """
    rounded = on_grid(form, FORM_STEPS)
    return np.ascontiguousarray(np.vstack([rounded.T, -0.5 * (rounded**2).sum(axis=1)]), dtype=np.float32)


def _exp(exponent: DoubleArray) -> FloatArray:
    """Return exponentials of numbers up to 0, in steps of `KERNEL_STEPS`; overwrites the numbers.

    Numpy's differ in the last bits from one processor to the next.
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
    """Return the step with which each column's weights are integers up to `most`.

    A power of two, so that floats hold the multiples exactly, and of rounded weights the same again.

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
    """Return ``left @ right``, summed in float64; exact where both are on grids of which float64 holds the sums.

    The right side is read some rows at a time, as a copy of all of it in float64 would leave the processor's cache.

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
    """Return `exact_product` of sparse rows, a row at a time: it reads a few rows of the right side."""
    total = np.empty((left.shape[0], right.shape[1]))
    for row in range(len(total)):
        start, end = left.indptr[row : row + 2]
        entries = left.data[start:end].astype(np.float64)
        total[row] = entries @ right[left.indices[start:end]].astype(np.float64)
    return total


@dataclass(frozen=True, slots=True)
class KernelHead:
    """Kernel ridge regressions of the outcomes, one a penalty.

    Attributes
    ----------
    kernel : Kernel
    scale : SurfaceScale
    logged_form : float32 array, shape (n_surface + 1, n_bank)
        Of the bank's prompts, see `by_feature`; put on its grid.
    penalties : ascending
        The lower one follows the logged outcomes more closely. How hard a prompt is, which all models tell, bears
        that better than which model is better on it.
    weights : float32 array, shape (n_bank, n_models, n_targets, n_penalties)
        Of the bank's prompts; rounded to multiples of `steps_of` them, as compiled decisions read integers.
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

    def score(self, embedding: DoubleArray, bag: DoubleArray, surface: FloatArray) -> DoubleArray:
        """Return what prompts differ by from the models' records, shape (n, n_models, n_targets, n_penalties).

        Parameters
        ----------
        embedding, bag : shape (n, n_bank), similarities with the bank's prompts; both are overwritten
        surface : shape (n, n_surface), surface features
        """
        kernel = self.kernel.of(embedding, bag, self.scale.form(surface), self.logged_form)
        n_bank, *shape = self.weights.shape
        product = exact_product(kernel, self.weights.reshape(n_bank, math.prod(shape)))
        return product.reshape(len(kernel), *shape)
