"""Whether predicted probabilities of success hold: on average of each model, and over their range."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from router_model.charts import Bin, reliability
from router_model.charts.drawing import Drawing
from router_model.summary import Summarised, Summary
from router_model.training.metrics.prediction import Reliability
from router_model.wording import number

ALL_MODELS = "all models"

_WIDEST = 420  # pixels; the chart is as high as wide


@dataclass(frozen=True, slots=True, repr=False)
class CalibrationCheck(Summarised):
    """Predicted probabilities of success against observed success.

    Attributes
    ----------
    curves : name -> Reliability
        Of `ALL_MODELS` together, and of each model, where outcomes are known.
    """

    curves: Mapping[str, Reliability]

    @property
    def off(self) -> dict[str, tuple[float, float]]:
        """Observed minus predicted success of each model, and half the width of its interval.

        The intervals hold for all models at once, at 95 % (Bonferroni).
        """
        of = {name: curve for name, curve in self.curves.items() if name != ALL_MODELS}
        z = float(norm.isf(0.025 / max(len(of), 1)))
        found = {}
        for name, curve in of.items():
            n = curve.n.sum()
            variance = float((curve.n * curve.predicted * (1 - curve.predicted)).sum()) / n**2
            found[name] = (float(((curve.observed - curve.predicted) * curve.n).sum() / n), z * variance**0.5)
        return found

    def summary(self) -> Summary:
        """Return whether chance explains what the models are off by."""
        off = self.off
        beyond = [f"{name} by {_off(*one)}" for name, one in off.items() if abs(one[0]) > one[1]]
        head = (
            f"Of {len(off)} models, the probabilities of {len(beyond)} are off: {'; '.join(beyond)} points"
            if beyond
            else f"The probabilities of all {len(off)} models hold, as far as chance lets one see"
        )
        rows = [
            (
                name,
                f"{curve.n.sum():,}",
                f"{np.average(curve.predicted, weights=curve.n):.3f}",
                f"{np.average(curve.observed, weights=curve.n):.3f}",
                "" if name not in off else _off(*off[name]),
                f"{100 * np.average(np.abs(curve.observed - curve.predicted), weights=curve.n):.1f}",
                f"{100 * expected_error(curve):.1f}",
            )
            for name, curve in self.curves.items()
        ]
        titles = ("model", "answers", "predicted", "observed", "off by, points", "error, points", "by chance")
        return Summary(head, titles, rows)

    def plot(self, *, width: int = _WIDEST) -> Drawing:
        """Draw all models together; needs the extra ``report``.

        Raises
        ------
        ValueError
            If no outcome is known.
        """
        if not self.curves:
            raise ValueError("no outcome is known, so no probability can be compared with it")
        bins = [Bin(float(p), float(seen), int(n)) for p, seen, n in zip(*self.curves[ALL_MODELS], strict=True)]
        return Drawing(reliability({ALL_MODELS: bins}, width=min(width, _WIDEST)))


def _off(by: float, half: float) -> str:
    return number(100 * by, 100 * half, digits=1, signed=True)


def expected_error(curve: Reliability) -> float:
    """Return the calibration error that a perfectly calibrated predictor would show on as many answers.

    The mean deviation of a normal variable is ``sqrt(2 / pi)`` standard deviations.

    Examples
    --------
    100 answers with a probability of 0.5: the share of successes deviates by 0.8 x 0.05.

    >>> round(expected_error(Reliability(np.array([0.5]), np.array([0.6]), np.array([100]))), 3)
    0.04
    """
    deviation = np.sqrt(curve.predicted * (1 - curve.predicted) / curve.n)
    return float(np.sqrt(2 / np.pi) * np.average(deviation, weights=curve.n))
