"""Quality bars: answer any bar from the probabilities at the few bars that success was learned at."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.errors import RequestError

FloatArray = npt.NDArray[np.float32]

BAR_TOLERANCE = 1e-6
"""Bars nearer than this are the same: they are stored as float32, and grades are not."""


def succeeds(quality: npt.ArrayLike, bar: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Say which answers meet a bar, for learning, measuring and certifying alike.

    Parameters
    ----------
    quality : from 0 to 1; NaN where it is unknown, which is never a success
    bar : of any shape that broadcasts with that of the qualities

    Examples
    --------
    The float32 next to 0.3 is a little more than 0.3, and 0.3 still meets it.

    >>> succeeds([0.2, 0.3, np.nan], np.float32(0.3)).tolist()
    [False, True, False]
    """
    return np.asarray(np.asarray(quality, np.float64) >= np.asarray(bar, np.float64) - BAR_TOLERANCE)


@dataclass(frozen=True, slots=True)
class BarGrid:
    """The quality bars that success was learned at.

    Attributes
    ----------
    bars : float32 array, shape (n_bars,), ascending
    low, high : float
        Least and largest logged quality: every answer meets `low`, and no answer exceeds `high`.
    stepwise : bool
        Whether the bars are all the (positive) qualities that occur, as with binary or three-level grades. A bar
        between two of them then means the same as the upper one. With continuous qualities, probabilities are
        interpolated.
    """

    bars: FloatArray
    low: float
    high: float
    stepwise: bool

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def graded(self) -> bool:
        """Whether answers were partly good, so that their mean quality is not just how often they meet a bar."""
        return not self.stepwise or len(self) > 1

    def check(self, bar: float) -> None:
        """Raise an error for a bar that is not a quality above 0, or that no logged answer reached.

        Raises
        ------
        RequestError
        """
        if not isinstance(bar, int | float) or not 0 < bar <= 1:
            raise RequestError(f"quality_bar={bar!r}; expected a quality above 0 and up to 1")
        if not succeeds(self.high, bar):
            raise RequestError(
                f"quality_bar={bar:g}: the best answer this router learned from has quality {self.high:g}; "
                "ask for that or less, or train on answers that reach it"
            )

    def at(self, p: FloatArray, bar: float) -> FloatArray:
        """Return the probabilities of meeting `bar`, given those of meeting each of `bars`.

        Non-increasing in the bar wherever `p` is.

        Parameters
        ----------
        p : shape (..., n_bars)

        Examples
        --------
        >>> grid = BarGrid(np.array([0.5, 0.9], dtype=np.float32), low=0.1, high=1.0, stepwise=False)
        >>> p = np.array([0.8, 0.4], dtype=np.float32)
        >>> [round(float(grid.at(p, bar)), 3) for bar in (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)]
        [1.0, 0.9, 0.8, 0.6, 0.4, 0.2]
        >>> steps = BarGrid(np.array([0.5, 1.0], dtype=np.float32), low=0.0, high=1.0, stepwise=True)
        >>> [round(float(steps.at(p, bar)), 3) for bar in (0.2, 0.5, 0.51, 1.0)]
        [0.8, 0.8, 0.4, 0.4]
        """
        below, above, share = self.between(bar)
        p_below = np.ones_like(p[..., 0]) if below < 0 else p[..., below]
        p_above = np.float32(0) if above == len(self) else p[..., above]
        return np.asarray(p_below + share * (p_above - p_below), dtype=np.float32)

    def between(self, bar: float) -> tuple[int, int, np.float32]:
        """Return the learned bars around `bar`, and the share of the way from the first to the second.

        -1 stands for a bar that every answer meets, and ``len(self)`` for one that none meets.
        """
        if succeeds(self.low, bar):
            return -1, 0, np.float32(0)
        upper = int(np.searchsorted(self.bars, bar - BAR_TOLERANCE))
        if self.stepwise or (upper < len(self) and abs(self.bars[upper] - bar) <= BAR_TOLERANCE):
            learned = min(upper, len(self) - 1)
            return learned, learned, np.float32(0)
        low = self.bars[upper - 1] if upper else np.float32(self.low)
        high = self.bars[upper] if upper < len(self) else self.high
        return upper - 1, upper, np.float32((bar - low) / max(float(high - low), BAR_TOLERANCE))

    def mean(self, p: FloatArray) -> FloatArray:
        """Return the expected quality, given the probabilities of meeting each of `bars`.

        This is the area under P(quality >= bar). It is exact for steps and a sum of trapezoids between continuous bars,
        with probability 1 at `low` and 0 just above `high`.

        Parameters
        ----------
        p : shape (..., n_bars)

        Examples
        --------
        Half of the answers have quality 1/2 or more and a quarter has 1: 1/2 of 1/2 and 1/4 of the other half.

        >>> steps = BarGrid(np.array([0.5, 1.0], dtype=np.float32), low=0.0, high=1.0, stepwise=True)
        >>> float(steps.mean(np.array([0.5, 0.25], dtype=np.float32)))
        0.375

        A quality that is uniform between 0 and 1 has mean 1/2, at whatever bars it was learned:

        >>> grid = BarGrid(np.array([0.2, 0.7], dtype=np.float32), low=0.0, high=1.0, stepwise=False)
        >>> round(float(grid.mean(np.array([0.8, 0.3], dtype=np.float32))), 6)
        0.5
        """
        constant, weights = self.mean_weights()
        return np.asarray(constant + p @ weights, dtype=np.float32)

    def mean_weights(self) -> tuple[np.float32, FloatArray]:
        """Return the constant and the weights, shape (n_bars,), with which `mean` sums probabilities."""
        if self.stepwise:
            return np.float32(0), np.diff(self.bars, prepend=np.float32(0))
        widths = np.diff(np.concatenate([[self.low], self.bars, [self.high]])).astype(np.float32)
        # Each probability is an end of two trapezoids; the first one's other end is 1, the last one's is 0.
        return np.float32(self.low + 0.5 * widths[0]), np.float32(0.5) * (widths[:-1] + widths[1:])
