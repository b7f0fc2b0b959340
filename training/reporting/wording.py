"""How reports write figures: amounts with intervals, points of quality, and which side is good."""

from collections.abc import Sequence
from math import isfinite

from router_model.pages.blocks import Number, Tone
from router_model.saving import saving_cell
from router_model.training.measuring.verdict import MARGIN, Difference, Estimate, Finding
from router_model.wording import number, usd

TONES: dict[Finding, Tone] = {
    Finding.BETTER: "good",
    Finding.BETTER_DEARER: "good",
    Finding.TIE: "neutral",
    Finding.UNCLEAR: "neutral",
    Finding.CHEAPER_WORSE: "bad",
    Finding.WORSE: "bad",
}
"""The colour of a verdict."""


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate of so many times the amount; below 0, the ends change places.

    >>> scaled(Estimate(0.002, 0.001, 0.003), 1000), scaled(Estimate(2.0, 1.0, 3.0), -1)
    (Estimate(value=2.0, low=1.0, high=3.0), Estimate(value=-2.0, low=-3.0, high=-1.0))
    """
    low, high = sorted((factor * estimate.low, factor * estimate.high))
    return Estimate(factor * estimate.value, low, high)


def usd_between(estimate: Estimate) -> str:
    """Write the interval of an amount.

    >>> usd_between(Estimate(120, 100.4, 140))
    '95 %: $100 to $140'
    """
    return f"95 %: {usd(estimate.low)} to {usd(estimate.high)}"


def saved_number(saved: Estimate, verbs: tuple[str, str], per: str, *, note: str = "") -> Number:
    """Return money that is saved, or, where that is below 0, what is spent more, as a positive amount.

    Parameters
    ----------
    saved : in USD
    verbs : for what is saved, and for what costs more
    per : how many requests, or how long, it is counted for
    note : what follows the interval
    """
    verb, shown = (verbs[0], saved) if saved.value >= 0 else (verbs[1], scaled(saved, -1))
    return Number(usd(shown.value), f"{verb} {per}", f"{usd_between(shown)}{note}", tone(saved))


def margin_points(margin: float) -> str:
    """Write the loss of quality that does not matter.

    >>> margin_points(0.01), margin_points(0.005)
    ('1 point', '0.5 points')
    """
    return f"{100 * margin:g} {'point' if margin == MARGIN else 'points'}"


def points_between(estimate: Estimate) -> str:
    """Write the interval of a difference in quality.

    >>> points_between(Estimate(-0.005, -0.01, 0.001))
    '95 %: -1.0 to +0.1'
    """
    low, high = (number(100 * end, digits=1, signed=True) for end in (estimate.low, estimate.high))
    return f"95 %: {low} to {high}"


def saving_between(estimate: Estimate) -> str:
    """Write the interval of a share of a cost that is saved.

    >>> saving_between(Estimate(0.5, 0.45, 0.55))
    '95 %: 45 % to 55 %'
    """
    if not isfinite(estimate.value):
        return ""
    return f"95 %: {saving_cell(estimate.low)} to {saving_cell(estimate.high)}"


def tone(estimate: Estimate, *, margin: float = 0.0) -> Tone:
    """Return on which side of 0 an interval lies; a loss up to `margin` does not count.

    >>> tone(Estimate(0.1, 0.05, 0.2)), tone(Estimate(-0.1, -0.2, 0.1)), tone(Estimate(-0.1, -0.2, -0.05))
    ('good', 'neutral', 'bad')
    """
    if estimate.low > 0:
        return "good"
    return "bad" if estimate.high < -margin else "neutral"


def quality_in_words(difference: Difference, margin: float = MARGIN) -> str:
    """Say what happens to the answers.

    >>> from router_model.training.measuring.verdict import NOTHING_SAVED
    >>> quality_in_words(Difference(Estimate(-0.004, -0.009, 0.002), NOTHING_SAVED, 900, 900))
    'answers stay as good'
    """
    quality = difference.quality
    if quality.low > 0:
        return "answers get better"
    if quality.low >= -margin and quality.high < 0:
        return (
            f"answers lose {abs(100 * quality.value):.1f} points, which is within the accepted {margin_points(margin)}"
        )
    if quality.low >= -margin:
        return "answers stay as good"
    return (
        f"answers get worse by {abs(100 * quality.value):.1f} points" if quality.high < 0 else "answers may get worse"
    )


def listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
