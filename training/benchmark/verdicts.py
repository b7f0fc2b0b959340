"""Say who is ahead: one word for a paired difference, and sentences for a whole benchmark.

The HTML report, the terminal and the figures all use these functions, so that they never disagree. A difference whose
interval contains 0 is *within noise*, however large it is. Each interval is a separate 95 % interval: among many
comparisons of equal methods, one in twenty is expected to exclude 0.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from router_model.training.benchmark.glossary import GLOSSARY, HEADLINE, Term
from router_model.training.benchmark.results import Interval, MethodResult, Results

LEARNED_KINDS = ("learned", "package", "ours")
"""The kinds of methods that learn differences between prompts."""

KIND_ORDER = ("ours", "learned", "package", "simple", "bound")
"""The kinds of methods, in the order in which they are shown."""


class Verdict(StrEnum):
    """The verdict on our method from a paired difference."""

    AHEAD = "ahead"
    BEHIND = "behind"
    NOISE = "within noise"
    UNTESTED = "no interval"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of our method with another one in one metric.

    Attributes
    ----------
    rival : MethodResult
    term : Term
    difference : Interval
        Our value minus the rival's.
    verdict : Verdict
    """

    rival: MethodResult
    term: Term
    difference: Interval
    verdict: Verdict


def verdict(difference: Interval, *, lower_is_better: bool = False) -> Verdict:
    """Return the verdict on a difference (ours minus a rival's) by its interval.

    Examples
    --------
    >>> verdict(Interval(0.007, 0.003, 0.011, 3))
    <Verdict.AHEAD: 'ahead'>
    >>> verdict(Interval(0.007, 0.003, 0.011, 3), lower_is_better=True)
    <Verdict.BEHIND: 'behind'>
    >>> verdict(Interval(0.007, 0.0, 0.014, 3))
    <Verdict.NOISE: 'within noise'>
    """
    if difference.value is None or difference.low is None or difference.high is None:
        return Verdict.UNTESTED
    if difference.low <= 0 <= difference.high:
        return Verdict.NOISE
    return Verdict.AHEAD if (difference.low > 0) != lower_is_better else Verdict.BEHIND


def ours(results: Results) -> MethodResult | None:
    """Return our method, with which the others are compared; None if it was not run."""
    return results.method("ours") or next((method for method in results.methods if method.kind == "ours"), None)


def mean(method: MethodResult, metric: str) -> float | None:
    """Return a method's mean of a metric over trials; None if it has none."""
    interval = method.metrics.get(metric)
    return None if interval is None else interval.value


def ranked(methods: Iterable[MethodResult], metric: str = "aiq") -> list[MethodResult]:
    """Return methods, best first; those without the metric come last, in the order given."""
    sign = 1 if GLOSSARY[metric].lower_is_better else -1

    def rank(method: MethodResult) -> float:
        value = mean(method, metric)
        return float("inf") if value is None else sign * value

    return sorted(methods, key=rank)


def by_kind(methods: Iterable[MethodResult]) -> list[MethodResult]:
    """Return methods by kind (ours, learned, packages, simple, bounds), and within a kind by AIQ."""
    order = {kind: place for place, kind in enumerate(KIND_ORDER)}
    return sorted(ranked(methods), key=lambda method: order.get(method.kind, len(order)))


def comparisons(results: Results, metric: str) -> list[Comparison]:
    """Return comparisons with every rival that has the metric, the best rival first; bounds are not rivals."""
    term = GLOSSARY[metric]
    return [
        Comparison(rival, term, difference, verdict(difference, lower_is_better=term.lower_is_better))
        for rival in ranked(results.methods, metric)
        if rival.kind != "bound"
        and (difference := rival.ours_minus.get(metric)) is not None
        and difference.value is not None
    ]


def summary(results: Results) -> list[str]:
    """Say in sentences which learned method is first in each headline metric, and how our method compares."""
    if ours(results) is None:
        return ["Ours was not run: nothing is compared with it."]
    said = [sentence for metric in HEADLINE for sentence in _sentences(results, metric)]
    return [*said[:1], *_gain_over_null(results), *said[1:]]


def _gain_over_null(results: Results) -> list[str]:
    """Say how much of our gain over the single models would show without any knowledge of quality."""
    reference, term = ours(results), GLOSSARY["aiq_gain"]
    gain, null = (None if reference is None else mean(reference, name) for name in (term.key, term.null))
    if gain is None or null is None:
        return []
    own = f"{term.label} over single models: ours {term.write(gain)}"
    return [f"{own}; {term.write(null)} would show without any knowledge of quality (the null)."]


def _sentences(results: Results, metric: str) -> list[str]:
    """Return a sentence about the rank of our method, and one about the differences."""
    reference, term = ours(results), GLOSSARY[metric]
    learned = [
        method for method in results.methods if method.kind in LEARNED_KINDS and mean(method, metric) is not None
    ]
    order = ranked(learned, metric)
    if reference is None or reference not in order:
        return [f"{term.label}: ours has none."]
    against = comparisons(results, metric)
    said = [_rank(order, reference, term, against)]
    for title, kinds in (("other learned", LEARNED_KINDS), ("simple", ("simple",))):
        chosen = [comparison for comparison in against if comparison.rival.kind in kinds]
        if chosen:
            said.append(f"{term.label}, against {_count(len(chosen), f'{title} method')}: {_tally(chosen)}.")
    return said


def _rank(order: Sequence[MethodResult], reference: MethodResult, term: Term, against: Sequence[Comparison]) -> str:
    place = order.index(reference)
    own = f"ours {term.write(mean(reference, term.key))}"
    if len(order) == 1:
        return f"{term.label}: {own}; no other learned method has it."
    other = order[1] if place == 0 else order[0]
    found = next((comparison for comparison in against if comparison.rival is other), None)
    versus = f"{other.name} {term.write(mean(other, term.key))}"
    difference = "" if found is None else f"; difference {term.write_difference(found.difference)}, {found.verdict}"
    if place == 0:
        return f"{term.label}: ours is first of {len(order)} learned methods ({own}, next {versus}{difference})."
    return (
        f"{term.label}: {other.name} is first of {len(order)} learned methods, ours is number {place + 1} "
        f"({own}, {versus}{difference})."
    )


def _tally(found: Sequence[Comparison]) -> str:
    """Count the verdicts, and name every rival that our method is not ahead of."""
    counts = Counter(comparison.verdict for comparison in found)
    parts = []
    for each, words in (
        (Verdict.AHEAD, "ahead of"),
        (Verdict.NOISE, "within noise of"),
        (Verdict.BEHIND, "behind"),
        (Verdict.UNTESTED, "without an interval against"),
    ):
        if counts[each]:
            rivals = [comparison.rival.name for comparison in found if comparison.verdict is each]
            everyone = "all" if counts[each] == len(found) else str(counts[each])
            parts.append(f"{words} {everyone}" + ("" if each is Verdict.AHEAD else f" ({', '.join(rivals)})"))
    return "ours is " + ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
