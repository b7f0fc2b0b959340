"""How good a judge (or another grader) is, by labels of people.

A judge is an instrument, so it is measured before it is believed:

- **agreement** with the labels at a quality bar: the table of both, and Cohen's kappa, which is 0 for a judge that
  agrees as often as chance;
- **bias by model**: labels minus grades. A judge that is as kind to all models still orders them rightly;
- **bias by length**: how much more the judge gives than the labels for an answer twice as long of the same model;
- **mean quality** of each model, corrected by the labels (`corrected_means`);
- for each pair of models, whether the labels confirm what the judge says of them (`Shown`).

The labelled answers have to be a fair sample of the answers. Prompts of one conversation count together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.training.grading.corrected_means import (
    MIN_LABELS,
    Float64Array,
    Groups,
    Influence,
    corrected_mean,
    mean_of,
    unseen_variance,
)
from router_model.training.measuring.verdict import Estimate
from router_model.training.metrics import interval, resample_weights

_POWER: Final = 2.04  # ((1.96 + 0.84) / 1.96)^2: labels for a power of 80 %, over those for an interval that just tells
_MOST_LABELS: Final = 100_000
_MIN_FOR_LENGTH: Final = 30
_NO_SPREAD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class LabelledGrades:
    """What a judge and people said of the same answers.

    Attributes
    ----------
    models : m names
    judged, labels : float64 arrays, shape (n_prompts, m)
        NaN if unknown.
    n_chars : float64 array, shape (n_prompts, m)
        Length of each answer; NaN if unknown.
    groups : shape (n_prompts,)
        Number of the conversation of each prompt, from 0.
    """

    models: Sequence[str]
    judged: Float64Array
    labels: Float64Array
    n_chars: Float64Array
    groups: Groups

    @property
    def n_groups(self) -> int:
        """Number of conversations."""
        return int(self.groups.max()) + 1

    @property
    def both(self) -> npt.NDArray[np.bool_]:
        """Whether an answer has a grade and a label, shape (n_prompts, m)."""
        return ~np.isnan(self.judged) & ~np.isnan(self.labels)


class Shown(StrEnum):
    """What labels show about the order in which a judge puts two models."""

    CONFIRMED = "confirmed"
    """The corrected difference has the judge's sign, and its interval does not reach 0."""
    REVERSED = "reversed"
    """The corrected difference has the other sign, and its interval does not reach 0."""
    REFUTED = "refuted"
    """The judge is shown to favour one of the models, and without that no difference is shown."""
    OPEN = "too few labels"
    """The judge sees a difference, and the labels can neither confirm nor refute it."""
    MISSED = "missed"
    """The judge sees no difference that chance could not explain, and the labels show one."""
    ALIKE = "no difference"
    """The judge sees no difference that chance could not explain, and neither do the labels."""


@dataclass(frozen=True, slots=True)
class ModelMeans:
    """The mean quality of one model.

    Attributes
    ----------
    model : str
    n_judged, n_labels : int
        Answers with a grade, and those of them with a label.
    judge : Estimate
        Mean of the judge's grades, as if they were right.
    corrected : Estimate or None
        By prediction-powered inference; None with fewer than `MIN_LABELS` labels.
    labels : Estimate or None
        Mean of the labels alone.
    bias : Estimate or None
        Mean of grades minus labels; above 0 if the judge is too kind.
    tuning : float or None
        How much the judge counts in `corrected`, from 0 to 1.
    """

    model: str
    n_judged: int
    n_labels: int
    judge: Estimate
    corrected: Estimate | None = None
    labels: Estimate | None = None
    bias: Estimate | None = None
    tuning: float | None = None


@dataclass(frozen=True, slots=True)
class PairFinding:
    """What is known about the difference of two models, first minus second.

    Attributes
    ----------
    better, worse : the models as the judge puts them
    judge, corrected : Estimate
        With intervals that hold for all pairs together (Bonferroni).
    shown : Shown
    n_labels_needed : int or None
        For `Shown.OPEN`: labels of each model that would probably confirm a difference as large as the judge's.
    """

    better: str
    worse: str
    judge: Estimate
    corrected: Estimate
    shown: Shown
    n_labels_needed: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often grades and labels are on the same side of a quality bar.

    Attributes
    ----------
    bar : float
    both_succeed, only_judge, only_labels, both_fail : int
        Answers by who says that they reach the bar.
    kappa : Estimate
        Cohen's kappa with a bootstrap interval by conversation; NaN if both always say the same, and 0 if
        only one of them does.
    """

    bar: float
    both_succeed: int
    only_judge: int
    only_labels: int
    both_fail: int
    kappa: Estimate

    @property
    def share(self) -> float:
        """Share of the answers on which they agree."""
        n = self.both_succeed + self.only_judge + self.only_labels + self.both_fail
        return (self.both_succeed + self.both_fail) / n


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """Everything that labels say about a judge.

    Attributes
    ----------
    means : one for each model
    pairs : for models with enough labels
    agreement : Agreement or None
    length_bias : Estimate or None
        By how much grades minus labels rise if an answer of the same model is twice as long; None with few labels.
    n_labels : int
    """

    means: list[ModelMeans]
    pairs: list[PairFinding]
    agreement: Agreement | None
    length_bias: Estimate | None
    n_labels: int

    @property
    def sentence(self) -> str:
        """What all of it means, without a full stop."""
        if not self.n_labels:
            return "no labels of people, so nothing shows how good these grades are"
        if not self.pairs:
            return f"fewer than {MIN_LABELS} labels for each of two models, so the grades stand uncorrected"
        return _of_pairs(self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        found = {**asdict(self), "sentence": self.sentence}
        if self.agreement is not None:
            found["agreement"]["share"] = self.agreement.share
        return _plain(found)  # type: ignore[no-any-return]


def _of_pairs(pairs: Sequence[PairFinding]) -> str:
    """Say what is shown about the order in which a judge puts models."""
    n = {shown: sum(pair.shown is shown for pair in pairs) for shown in Shown}
    ordered = [pair for pair in pairs if pair.shown not in {Shown.ALIKE, Shown.MISSED}]
    if not ordered and n[Shown.MISSED]:
        by_labels = f"{n[Shown.MISSED]} {'pair differs' if n[Shown.MISSED] == 1 else 'pairs differ'} by the labels"
        return f"this judge cannot tell these models apart: {by_labels}, and none by its grades"
    if not ordered:
        return "neither the grades nor the labels show a difference between the models"
    wrong = n[Shown.REVERSED] + n[Shown.REFUTED]
    of = f"of {len(ordered)} {'pair' if len(ordered) == 1 else 'pairs'} of models that differ by the grades"
    counts = f"{of}, the labels confirm {n[Shown.CONFIRMED]} and contradict {wrong}"
    counts += f"; they show {n[Shown.MISSED]} more" if n[Shown.MISSED] else ""
    if n[Shown.CONFIRMED]:
        return counts
    if wrong:
        return f"this judge cannot tell these models apart: {counts}"
    needed = [pair.n_labels_needed for pair in ordered if pair.n_labels_needed]
    more = f"; about {min(needed):,} of each model could" if needed else ""
    return f"so few labels cannot say whether this judge tells the models apart{more} ({of}, they confirm none)"


def _plain(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measure_judge(grades: LabelledGrades, *, bar: float = 0.5, alpha: float = 0.05) -> JudgeReport:
    """Measure a judge by labels.

    Parameters
    ----------
    grades : LabelledGrades
    bar : quality from which an answer counts as a success
    alpha : 1 minus the coverage of the intervals
    """
    n_labels = int(grades.both.sum())
    estimates = {model: _of_model(grades, column, alpha) for column, model in enumerate(grades.models)}
    known = {model: found for model, (_, found) in estimates.items() if found is not None}
    return JudgeReport(
        means=[means for means, _ in estimates.values()],
        pairs=_pairs(known, alpha),
        agreement=_agreement(grades, bar) if n_labels else None,
        length_bias=_length_bias(grades, alpha),
        n_labels=n_labels,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The three estimates of a model that differences are made of."""

    judge: Influence
    corrected: Influence
    bias: Influence
    n_labels: int


def _of_model(grades: LabelledGrades, column: int, alpha: float) -> tuple[ModelMeans, _Known | None]:
    judged, labels, both = grades.judged[:, column], grades.labels[:, column], grades.both[:, column]
    groups, n_groups, n_labels = grades.groups, grades.n_groups, int(both.sum())
    judge = mean_of(judged, groups, n_groups)
    about = (grades.models[column], int((~np.isnan(judged)).sum()), n_labels)
    # Many grades show their spread, unless there is none.
    is_flat = len(np.unique(judged[~np.isnan(judged)])) == 1
    at_face_value = mean_of(judged, groups, n_groups, added=is_flat).interval(alpha).within(0, 1)
    if n_labels < MIN_LABELS:
        return ModelMeans(*about, judge=at_face_value), None
    corrected, tuning = corrected_mean(judged, labels, groups, n_groups)
    bias = mean_of(np.where(both, judged - labels, np.nan), groups, n_groups, added=True)
    alone = mean_of(np.where(both, labels, np.nan), groups, n_groups, added=True)
    means = ModelMeans(
        *about,
        judge=at_face_value,
        corrected=corrected.interval(alpha).within(0, 1),
        labels=alone.interval(alpha).within(0, 1),
        bias=bias.interval(alpha).within(-1, 1),
        tuning=tuning,
    )
    return means, _Known(judge, corrected, bias, n_labels)


def _pairs(known: Mapping[str, _Known], alpha: float) -> list[PairFinding]:
    names = list(combinations(known, 2))
    return [_pair((one, known[one]), (two, known[two]), alpha / len(names)) for one, two in names]


def _pair(one: tuple[str, _Known], two: tuple[str, _Known], alpha: float) -> PairFinding:
    if one[1].judge.value < two[1].judge.value:
        one, two = two, one
    (better, first), (worse, second) = one, two
    judge = first.judge.minus(second.judge).interval(alpha)
    corrected = first.corrected.minus(second.corrected).interval(alpha)
    favours = first.bias.minus(second.bias).interval(alpha)
    shown = _shown(judge, corrected, favours)
    n_labels = min(first.n_labels, second.n_labels)
    needed = None
    if shown is Shown.OPEN:
        needed = math.ceil(min(n_labels * _POWER * (corrected.half_width / judge.value) ** 2, _MOST_LABELS))
    return PairFinding(better, worse, judge.within(-1, 1), corrected.within(-1, 1), shown, needed)


def _shown(judge: Estimate, corrected: Estimate, favours: Estimate) -> Shown:
    """Return what is shown; the judge's difference is not negative."""
    is_shown = corrected.low > 0 or corrected.high < 0
    if judge.low <= 0:
        return Shown.MISSED if is_shown else Shown.ALIKE
    if is_shown:
        return Shown.CONFIRMED if corrected.low > 0 else Shown.REVERSED
    return Shown.REFUTED if favours.low > 0 else Shown.OPEN


def _agreement(grades: LabelledGrades, bar: float) -> Agreement:
    both = grades.both
    judge, people = grades.judged[both] >= bar, grades.labels[both] >= bar
    of_answer = np.broadcast_to(grades.groups[:, None], both.shape)[both]
    _, group = np.unique(of_answer, return_inverse=True)
    cells = 2 * judge.astype(int) + people  # both fail, only labels, only judge, both succeed
    counts = np.zeros((int(group.max()) + 1, 4))
    np.add.at(counts, (group, cells), 1)
    total = counts.sum(axis=0)
    drawn = _kappa(resample_weights(len(counts)) @ counts)
    ends = interval(drawn[~np.isnan(drawn)]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    fail, only_labels, only_judge, succeed = total.astype(int).tolist()
    low, high = ends
    if not only_labels and not only_judge:
        # A bootstrap of answers without a disagreement has none; by the rule of three, there may be 3 in n.
        share = succeed / (succeed + fail)
        low = max(1 - 3 / len(counts) / (2 * share * (1 - share)), -1.0) if 0 < share < 1 else low
    kappa = Estimate(float(_kappa(total[None])[0]), low, high)
    return Agreement(bar, succeed, only_judge, only_labels, fail, kappa)


def _kappa(counts: Float64Array) -> Float64Array:
    """Return Cohen's kappa of tables of two by two, shape (n,), from counts of shape (n, 4).

    Of 100 answers, 20 fail by both, 5 by the judge alone, 10 by the labels alone, and 65 by neither. They agree on 85;
    by chance on 0.75 * 0.7 + 0.25 * 0.3 = 0.6 of them. So kappa is (0.85 - 0.6) / (1 - 0.6) = 0.625.

    >>> _kappa(np.array([[20.0, 5.0, 10.0, 65.0]])).round(3).tolist()
    [0.625]
    """
    fail, only_labels, only_judge, succeed = counts.T / counts.sum(axis=1)
    judge, people = succeed + only_judge, succeed + only_labels
    chance = judge * people + (1 - judge) * (1 - people)
    unknown = np.full(len(chance), np.nan)
    return np.asarray(np.divide(fail + succeed - chance, 1 - chance, out=unknown, where=chance < 1))


def _length_bias(grades: LabelledGrades, alpha: float) -> Estimate | None:
    """Regress grades minus labels on log2 of the length, within models, with errors by conversation."""
    used = grades.both & (grades.n_chars > 0)
    if used.sum() < _MIN_FOR_LENGTH:
        return None
    doublings = np.log2(np.where(used, grades.n_chars, 1.0))
    x, y = (_within(values, used) for values in (doublings, grades.judged - grades.labels))
    total = float((x**2).sum())
    if total < _NO_SPREAD:  # all answers of a model are as long
        return None
    slope = float((x * y).sum()) / total
    of_group = np.bincount(grades.groups, (x * (y - slope * x)).sum(axis=1), minlength=grades.n_groups) / total
    n_used = len(np.unique(grades.groups[used.any(axis=1)]))
    added = unseen_variance(n_used) / (total / used.sum())
    return Influence(slope, of_group, n_used, added).interval(alpha)


def _within(values: Float64Array, used: npt.NDArray[np.bool_]) -> Float64Array:
    """Return values minus their model's mean; 0 where they are not used."""
    values = np.where(used, values, 0.0)
    mean = values.sum(axis=0) / np.maximum(used.sum(axis=0), 1)
    return np.where(used, values - mean, 0.0)
