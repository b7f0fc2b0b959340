"""Say in words what a paired difference in quality and cost shows, and how many more prompts it takes to tell.

Two ways to choose models (a router and a single model, or two routers) are compared on the same prompts. `judge` turns
the two intervals into a `Finding`. `routing_verdict` and `comparison_verdict` turn findings into a sentence.

Two limits separate a difference that matters from one that does not: `MARGIN` for quality and `COST_MARGIN` for cost.
"Not worse" means that the whole interval lies above minus the limit. "A tie" means that the whole interval lies within
the limits on both sides. All other cases are unclear, and more prompts are needed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from router_model.saving import say_saving
from router_model.wording import points

MARGIN = 0.01
"""The loss of quality that does not matter, if the caller names no other: one point."""

COST_MARGIN = 0.01
"""The share of the cost that does not matter."""

MIN_INDEPENDENT = 30
"""With fewer independent prompts, nothing is said to be shown, because a bootstrap of so few is too narrow."""

_POWER = 2.04
"""Prompts for a power of 80 %, over prompts for an interval that just excludes the limit: ((1.96 + 0.84) / 1.96)^2."""

_NARROWEST = 0.01  # of today's width; more than 10,000 times as many prompts is not advice


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval, which is what stands after the sign ±."""
        return (self.high - self.low) / 2

    def narrowed(self, factor: float) -> "Estimate":
        """Return the same value with an interval `factor` times as wide.

        >>> Estimate(1.0, 0.0, 3.0).narrowed(0.5)
        Estimate(value=1.0, low=0.5, high=2.0)
        """
        low, high = (self.value + factor * (end - self.value) for end in (self.low, self.high))
        return Estimate(self.value, low, high)

    def within(self, least: float, most: float) -> "Estimate":
        """Return the estimate cut to the values that there can be.

        >>> Estimate(0.75, 0.5, 1.25).within(0, 1)
        Estimate(value=0.75, low=0.5, high=1)
        """
        return Estimate(*(min(max(one, least), most) for one in (self.value, self.low, self.high)))

    def as_dict(self) -> dict[str, float | None]:
        """Return the estimate as plain JSON types; an infinite number is None."""
        return {
            name: value if math.isfinite(value) else None
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


NOTHING_SAVED = Estimate(0.0, 0.0, 0.0)
REFERENCE_IS_FREE = Estimate(-math.inf, -math.inf, -math.inf)
"""The saving against something that costs nothing, of something that costs money."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way to choose models minus another one (the reference) on the same prompts.

    Attributes
    ----------
    quality : difference of the mean qualities
    saving : share of the reference's cost that is saved; negative if it costs more
    n_prompts : int
    n_independent : number of conversations and texts that are independent of each other
    same_choices : True if both chose the same model for every prompt
    saved_usd : the mean cost of a prompt by the reference, minus that by this one; None if nobody computed it
    """

    quality: Estimate
    saving: Estimate
    n_prompts: int
    n_independent: int
    same_choices: bool = False
    saved_usd: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as plain JSON types."""
        return {
            "quality": self.quality.as_dict(),
            "saving": self.saving.as_dict(),
            "n_prompts": self.n_prompts,
            "n_independent": self.n_independent,
            "same_choices": self.same_choices,
            "saved_usd": None if self.saved_usd is None else self.saved_usd.as_dict(),
        }


class Finding(StrEnum):
    """What a difference shows about the one that is compared with a reference."""

    BETTER = "better"
    """Better and not dearer, or cheaper and not worse."""
    BETTER_DEARER = "better and dearer"
    TIE = "tie"
    UNCLEAR = "too few prompts"
    CHEAPER_WORSE = "cheaper and worse"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding in words.

    Attributes
    ----------
    finding : Finding
    sentence : str
        Without a full stop.
    reference : the name of what was compared with
    n_more : prompts that it would take to tell; None if the finding is clear, or if no number can be given
    """

    finding: Finding
    sentence: str
    reference: str
    n_more: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as plain JSON types."""
        return {
            "finding": self.finding.value,
            "sentence": self.sentence,
            "reference": self.reference,
            "n_more": self.n_more,
        }


def judge(difference: Difference, *, margin: float = MARGIN) -> Finding:
    """Return what a difference shows.

    Examples
    --------
    >>> saves = Estimate(0.57, 0.53, 0.61)
    >>> judge(Difference(Estimate(0.0, -0.005, 0.005), saves, 2000, 2000))
    <Finding.BETTER: 'better'>
    >>> judge(Difference(Estimate(0.0, -0.05, 0.05), saves, 100, 100))
    <Finding.UNCLEAR: 'too few prompts'>
    """
    quality, saving = difference.quality, difference.saving
    if difference.same_choices:
        return Finding.TIE
    if difference.n_independent < MIN_INDEPENDENT:
        return Finding.UNCLEAR
    gains, loses = quality.low > 0, quality.high < 0
    saves, costs = saving.low > 0, saving.high < 0
    not_worse, not_better = quality.low >= -margin, quality.high <= margin
    not_dearer, not_cheaper = saving.low >= -COST_MARGIN, saving.high <= COST_MARGIN
    better = (gains and not_dearer) or (saves and not_worse)
    worse = (loses and not_cheaper) or (costs and not_better)
    if better != worse:
        return Finding.BETTER if better else Finding.WORSE
    if better or (not_worse and not_better and not_dearer and not_cheaper):  # both differ by less than the limits
        return Finding.TIE
    if gains and costs:
        return Finding.BETTER_DEARER
    return Finding.CHEAPER_WORSE if loses and saves else Finding.UNCLEAR


def prompts_needed(difference: Difference, *, margin: float = MARGIN) -> int | None:
    """Return about how many more prompts make a difference clear in 4 cases of 5, if its value stays as it is.

    Intervals narrow with the root of the number of prompts. The widest intervals are sought that show anything.

    Returns
    -------
    int or None
        Rounded to two digits. None if it is clear already, or would take more than 10,000 times as many.

    Examples
    --------
    An interval of ±4 points that must become ±1 needs 16 times as many prompts, and twice that for the power:

    >>> prompts_needed(Difference(Estimate(0.0, -0.04, 0.04), Estimate(0.5, 0.4, 0.6), 100, 100))
    3200

    An interval that just touches 0 shows a loss when it is hardly narrower; for the power it takes as many again:

    >>> prompts_needed(Difference(Estimate(-0.007, -0.014, 0.0), Estimate(0.24, 0.22, 0.27), 1000, 1000))
    1000
    """
    if judge(difference, margin=margin) is not Finding.UNCLEAR or _unclear(difference, _NARROWEST, margin):
        return None
    too_narrow, factor, is_too_wide = _NARROWEST, 1.0, _unclear(difference, 1.0, margin)
    while is_too_wide and factor / too_narrow > 1.001:  # noqa: PLR2004  a thousandth is enough
        middle = math.sqrt(too_narrow * factor)
        if _unclear(difference, middle, margin):
            factor = middle
        else:
            too_narrow = middle
    by_width = difference.n_prompts * (_POWER / factor**2 - 1) if is_too_wide else 0.0
    per_independent = difference.n_prompts / max(difference.n_independent, 1)
    by_count = (MIN_INDEPENDENT - difference.n_independent) * per_independent
    return _two_digits(max(by_width, by_count))


def _unclear(difference: Difference, factor: float, margin: float) -> bool:
    """Return whether nothing would show if the intervals were `factor` times as wide, from enough prompts."""
    narrowed = replace(
        difference,
        quality=difference.quality.narrowed(factor),
        saving=difference.saving.narrowed(factor),
        n_independent=max(difference.n_independent, MIN_INDEPENDENT),
    )
    return judge(narrowed, margin=margin) is Finding.UNCLEAR


def routing_verdict(against: Mapping[str, Difference], best: str, *, margin: float = MARGIN) -> Verdict:
    """Say whether routing pays, from a router's differences to every single model.

    A single model that the router does not surpass makes the router needless, be it the best one or a cheap one that
    gets nearly all of the traffic. A model whose answers are shown to be worse than the router's does not, however
    cheap it is. Otherwise the best single model is the reference.

    Parameters
    ----------
    against : model -> the router minus this model on every prompt
    best : the best single model

    Examples
    --------
    >>> saves = Difference(Estimate(0.0, -0.005, 0.005), Estimate(0.57, 0.53, 0.61), 2000, 2000)
    >>> routing_verdict({"large": saves}, "large").sentence
    'routing pays: saves 57 % ± 4 at 0.0 ± 0.5 points against large'
    >>> nothing = Difference(Estimate(-0.01, -0.04, 0.02), Estimate(0.0, 0.0, 0.0), 500, 500)
    >>> routing_verdict({"large": nothing}, "large").sentence
    'a tie: send all to large (the router saves 0 % at -1.0 ± 3.0 points)'
    """
    findings = {model: judge(difference, margin=margin) for model, difference in against.items()}
    if any(difference.n_independent < MIN_INDEPENDENT for difference in against.values()):
        findings = dict.fromkeys(against, Finding.UNCLEAR)  # a model's choices on few prompts say nothing of others
    needless = [
        model
        for model in _best_first(against, best)
        if findings[model] in (Finding.TIE, Finding.WORSE) and against[model].quality.low <= 0
    ]
    reference = needless[0] if needless else best
    difference, finding = against[reference], findings[reference]
    said = describe(difference)
    if finding is Finding.UNCLEAR and difference.n_independent >= MIN_INDEPENDENT and not _promises(difference, margin):
        finding = Finding.TIE
    n_more = None
    if finding is Finding.UNCLEAR:
        n_more = prompts_needed(difference, margin=margin)
        sentence = f"{_too_few(n_more)} (against {reference} the router {said})"
    else:
        sentence = {
            Finding.BETTER: f"routing pays: {said} against {reference}",
            Finding.BETTER_DEARER: f"routing pays in quality: {said} against {reference}",
            Finding.TIE: f"a tie: send all to {reference} (the router {said})",
            Finding.CHEAPER_WORSE: f"routing gives up quality for cost: {said} against {reference}",
            Finding.WORSE: f"routing does not pay: send all to {reference} (the router {said})",
        }[finding]
    return Verdict(finding, sentence, reference, n_more)


def comparison_verdict(
    difference: Difference, *, margin: float = MARGIN, first: str = "A", second: str = "B"
) -> Verdict:
    """Say which of two routers is better, from the difference of the second minus the first.

    Examples
    --------
    >>> gain = Difference(Estimate(0.021, 0.013, 0.029), Estimate(0.03, -0.005, 0.065), 3000, 3000)
    >>> comparison_verdict(gain).sentence
    'B is better: it saves 3.0 % ± 3.5 at +2.1 ± 0.8 points against A'
    """
    finding = judge(difference, margin=margin)
    said = f"{describe(difference)} against {first}"
    n_more = prompts_needed(difference, margin=margin) if finding is Finding.UNCLEAR else None
    tie = "both choose the same models" if difference.same_choices else f"{second} {said}"
    sentence = {
        Finding.BETTER: f"{second} is better: it {said}",
        Finding.BETTER_DEARER: f"{second} is better and dearer: it {said}",
        Finding.TIE: f"a tie: {tie}",
        Finding.UNCLEAR: f"{_too_few(n_more)} ({second} {said})",
        Finding.CHEAPER_WORSE: f"{second} is cheaper and worse: it {said}",
        Finding.WORSE: f"{first} is better: {second} {said}",
    }[finding]
    return Verdict(finding, sentence, first, n_more)


def describe(difference: Difference) -> str:
    """Say a saving and a difference in quality, with half the widths of their intervals.

    Examples
    --------
    >>> describe(Difference(Estimate(0.02, 0.01, 0.03), Estimate(-0.3, -0.4, -0.2), 100, 100))
    'costs 30 % ± 10 more at +2.0 ± 1.0 points'
    >>> describe(Difference(Estimate(-0.004, -0.01, 0.002), Estimate(-19.0, -21.0, -17.0), 100, 100))
    'costs 20 ± 2 times as much at -0.4 ± 0.6 points'
    """
    quality, saving = difference.quality, difference.saving
    cost = say_saving(saving.value, saving.half_width)
    return f"{cost} at {points(quality.value, quality.half_width)}"


def _best_first(against: Mapping[str, Difference], best: str) -> Iterable[str]:
    """Order models by their own quality: the router gains least over the best of them."""
    return sorted(against, key=lambda model: (model != best, against[model].quality.value))


def _promises(difference: Difference, margin: float) -> bool:
    """Return whether the values alone, without their intervals, speak for routing."""
    return difference.saving.value > COST_MARGIN or difference.quality.value > margin


def _too_few(n_more: int | None) -> str:
    return f"too few prompts to tell; {'very many' if n_more is None else f'about {n_more:,}'} more"


def _two_digits(number: float) -> int:
    """Round to two significant digits.

    >>> _two_digits(1234.0), _two_digits(7.2)
    (1200, 8)
    """
    if number < 10:  # noqa: PLR2004
        return math.ceil(number)
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return round(round(number / unit) * unit)
