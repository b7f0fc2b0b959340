"""A kernel machine over logged prompts: what was made of prompts like this one.

Two prompts are as alike as they are in topic, wording *and* form. Their kernel is a product of three::

    k(x, x') = exp(a (cos of embeddings - 1) + b (cos of bags - 1) - c |s - s'|^2 / (2 n_surface))

with standardised surface features s. The score is ridge regression in its feature space, the mean of a Gaussian
process with this covariance (Rasmussen & Williams 2006, chapter 2): unlike a mean over neighbours it knows that ten
copies of one prompt say less than ten different ones, and it falls back to the record where nothing is alike.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

MAX_DEVIATIONS = 3.0  # one odd feature must not make a prompt unlike everything
_MIN_DEVIATION = 1e-6  # a feature that varies less was never compared by, and is left out:
_LEFT_OUT = 1e9  # logs of lower-case prompts must not make one in capitals unlike them all
_MOST_STEPS = 2**15 - 1
_LEAST_STEP = 2.0**-126  # the least that float32 holds in full


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

    def of(self, embedding: FloatArray, bag: FloatArray, form: FloatArray, logged_form: FloatArray) -> FloatArray:
        """Return the kernel of n prompts with logged ones, float32, shape (n, n_bank).

        Parameters
        ----------
        embedding, bag : shape (n, n_bank)
            Cosine similarities. `embedding` is overwritten with the result, `bag` with something else: at thousands of
            logged prompts copies cost more than the arithmetic.
        form : shape (n, n_surface), see `SurfaceScale.form`
        logged_form : shape (n_surface + 1, n_bank), see `by_feature`
        """
        # -|s - s'|^2 / 2 = s s' - |s|^2 / 2 - |s'|^2 / 2, where the last is the last row of `logged_form`
        nearness = (self.surface * form) @ logged_form[:-1]
        nearness += self.surface * logged_form[-1]
        exponent = embedding
        exponent *= self.embedding
        bag *= self.bag
        exponent += bag
        exponent += nearness
        exponent -= np.float32(self.embedding + self.bag) + self.surface / 2 * (form**2).sum(axis=1, keepdims=True)
        return np.exp(exponent, out=exponent)


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

        Squared distances are then mean squared differences, whatever the number of features.
        """
        standard = (surface - self.centre) / self.deviation
        np.clip(standard, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=standard)
        standard /= np.sqrt(np.float32(surface.shape[1]))
        return standard


def by_feature(form: FloatArray) -> FloatArray:
    """Return logged prompts' forms (n_bank, n_surface) as rows of features, and minus half their squared lengths.

    >>> by_feature(np.array([[1.0, 2.0]], dtype=np.float32)).T.tolist()
    [[1.0, 2.0, -2.5]]
    """
    return np.ascontiguousarray(np.vstack([form.T, -0.5 * (form**2).sum(axis=1)]), dtype=np.float32)


def steps_of(weights: FloatArray) -> FloatArray:
    """Return the step that each column's weights are multiples of: as integers, they have 16 bits.

    A power of two, so that floats hold the multiples exactly, and of rounded weights the same again.

    Parameters
    ----------
    weights : float32 array, shape (n_bank, ...)

    Returns
    -------
    float32 array, shape (...)

    Examples
    --------
    >>> steps_of(np.array([[30000.0, 32767.0, 0.0], [-40000.0, 0.1, 0.0]], dtype=np.float32)).tolist()
    [2.0, 1.0, 1.0]
    """
    largest = np.abs(weights).max(axis=0, initial=0.0).astype(np.float64)
    largest[largest == 0.0] = _MOST_STEPS
    step = np.exp2(np.ceil(np.log2(largest / _MOST_STEPS)))
    return np.asarray(np.maximum(step, _LEAST_STEP), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class KernelHead:
    """Kernel ridge regressions of the outcomes, one a penalty.

    Attributes
    ----------
    kernel : Kernel
    scale : SurfaceScale
    logged_form : float32 array, shape (n_surface + 1, n_bank)
        Of the bank's prompts, see `by_feature`.
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
        steps = steps_of(self.weights)
        rounded = np.rint(self.weights / steps)
        rounded *= steps
        object.__setattr__(self, "weights", rounded)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds of evidence."""
        return tuple(f"kernel_{penalty:g}" for penalty in self.penalties)

    def score(self, embedding: FloatArray, bag: FloatArray, surface: FloatArray) -> FloatArray:
        """Return what prompts differ by from the models' records, shape (n, n_models, n_targets, n_penalties).

        Parameters
        ----------
        embedding, bag : shape (n, n_bank), similarities with the bank's prompts; both are overwritten
        surface : shape (n, n_surface), surface features
        """
        kernel = self.kernel.of(embedding, bag, self.scale.form(surface), self.logged_form)
        n_bank, *shape = self.weights.shape
        return (kernel @ self.weights.reshape(n_bank, math.prod(shape))).reshape(len(kernel), *shape)
