"""Certify success rates, or mean quality, on calibration prompts, by learn-then-test over the value of a success.

The tested rules are `router_model.policy.rank_by_value` at the values `SUCCESS_VALUES`, from the value that always
chooses the likeliest model down to the value that always chooses the cheapest. This list was fixed before any prompt
was seen. For a target t and each value in turn, the hypothesis "its success rate is below t" is tested with the exact
binomial p-value on calibration prompts. The first hypothesis that is not rejected ends the walk (fixed-sequence
testing). The first true hypothesis on the way is rejected with probability delta at most. So with probability
1 - delta, every value that was passed has a success rate of t or more. The last value passed is the cheapest of them.

Where answers are graded (`router_model.prediction.bars.BarGrid.graded`) and no quality bar is given, the same walk
tests "the mean quality is below t" by `router_model.mean_bound.shows_mean`, at the values of quality 1. A missing
answer has quality 0.

The binomial law is that of independent prompts. Where prompts share a conversation or are near duplicates, successes
and prompts are divided by the design effect first (`router_model.training.measuring.design_effect`). An answer that the
table does not have of the chosen model counts as a failure. So the promise also holds where such answers are missing
because they failed. Prompts without any graded answer are left out and counted: about them nothing is promised.

The promise holds even if success does not fall monotonically along the list, and even if predictions are wrong: bad
predictions only end the walk early. Several targets are tested at delta divided by their number (Bonferroni).

References
----------
Angelopoulos, Bates, Candès, Jordan, Lei (2021), Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
Control, arXiv:2110.01052.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.certificate import CLUSTERED, GRADE_STEPS, LIKELIEST_USD, Certificate, binomial_p_value
from router_model.errors import TableError, TrainingError
from router_model.features.featuriser import PromptFeatures
from router_model.mean_bound import mean_lower_bound, shows_mean
from router_model.policy import best_by_value
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import hash_of
from router_model.training.distributed.prompts import featurise_all, predict_all
from router_model.training.measuring.design_effect import design_effects
from router_model.training.measuring.evaluate import eligible_models, learned_from
from router_model.training.near_duplicates.groups import near_duplicate_labels
from router_model.training.table.outcomes import Outcomes
from router_model.wording import percent

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Grades = npt.NDArray[np.int16]  # small, as there are 223 for each prompt

DEFAULT_DELTA = 0.1
DEFAULT_SHARES = (0.95, 0.9)
"""The default targets, as shares of the best single model's success rate on training prompts."""

_ROUNDING = 1e-6  # of a step: 0.29 is a little less than 290 thousandths in binary

SUCCESS_VALUES = (
    LIKELIEST_USD,
    *(float(f"{value:.3g}") for value in np.geomspace(1e4, 1e-7, 221)),
    0.0,
)
"""The tested values of a success in USD, in this order: twenty per factor of ten, beyond the range of prices."""


@dataclass(frozen=True, slots=True)
class Certification:
    """Certificates, and the numbers of prompts that they are based on.

    Attributes
    ----------
    certificates : one for each target, ascending
    n_prompts, n_seen, n_ungraded : int
        Prompts that counted; prompts left out because the router was trained on them, or nearly; prompts left out
        because none of their answers is graded.
    """

    certificates: tuple[Certificate, ...]
    n_prompts: int
    n_seen: int
    n_ungraded: int

    def as_dict(self) -> dict[str, Any]:
        """Return the certification as plain JSON types."""
        return {
            "certificates": [certificate.as_dict() for certificate in self.certificates],
            "n_prompts": self.n_prompts,
            "n_seen": self.n_seen,
            "n_ungraded": self.n_ungraded,
        }


def certify(
    router: Router,
    outcomes: Outcomes,
    *,
    targets: Sequence[float],
    delta: float = DEFAULT_DELTA,
    quality_bar: float | None = None,
    features: PromptFeatures | None = None,
) -> Certification:
    """Certify target success rates, or targets of mean quality, on prompts that the router was not trained on.

    Parameters
    ----------
    outcomes : calibration prompts, with every model of the router
        Training prompts, and prompts without any outcome, are left out. Where the outcome of a chosen model is
        missing, it counts as a failure.
    targets : success rates, above 0 and below 1
    delta : float
        Largest probability that the certificate of any target is wrong.
    quality_bar : float, optional
        Certify the share of answers that meet it. Default: certify mean quality if the router learned from graded
        answers, and else success at the artifact's bar.
    features : of the same prompts, if already computed

    Raises
    ------
    TrainingError
        If `targets` or `delta` are out of range.
    TableError
        If a model is missing, no prompt is left, or most answers of the likeliest models are missing.
    """
    targets = check_targets(targets, delta)
    router = router.graded_only()
    outcomes = outcomes.select_models(router.models)
    if features is None:
        features = featurise_all(outcomes.prompts, router.encoder)
    seen = learned_from(router, outcomes.prompts)
    graded = ~np.isnan(outcomes.quality).all(axis=1)
    rows = np.flatnonzero(~seen & graded)
    if not len(rows):
        raise TableError(
            f"no prompt to certify on: of {len(outcomes):,}, the router was trained on {int(seen.sum()):,}, and no "
            "answer to the others is graded; give graded prompts it never saw"
        )
    rows = rows[_order([outcomes.prompt_ids[row] for row in rows])]
    of_quality = quality_bar is None and router.artifact.predictor.grid.graded
    bar = router.artifact.operating_point.quality_bar if quality_bar is None else quality_bar
    kept = outcomes.take(rows)
    table = predict_all(router, features.take(rows), bar)
    known = ~np.isnan(kept.quality)
    eligible = eligible_models(router, kept, features.take(rows), table)
    worth = table.mean_quality if of_quality else table.p_success
    chosen = chosen_by_value(worth, table.expected_cost_usd, eligible)
    rows_of_safe, safe = router.safe_rows(table, eligible)
    chosen[:, rows_of_safe] = safe
    # A missing answer is a failure, of quality 0.
    reached = whole_grades(kept.quality) if of_quality else succeeds(kept.quality, bar)
    counts = RuleCounts.of(
        reached[np.arange(len(rows)), chosen],
        (~known)[np.arange(len(rows)), chosen],
        kept.conversation_keys,
        near_duplicate_labels(kept.prompts).tolist(),
    )
    if counts.n_missing[0] > len(rows) / 2:
        raise TableError(
            f"too few answers to certify on: for {counts.n_missing[0]:,} of {len(rows):,} prompts the table has no "
            "graded answer of the model likeliest to succeed; give prompts that (nearly) every model has answered"
        )
    certificates = certificates_of(
        counts,
        single_success(np.nan_to_num(kept.quality) if of_quality else reached, known),
        targets=targets,
        delta=delta,
        models=router.models,
        quality_bar=None if of_quality else bar,
        split_hash=split_hash(text_hashes(kept)),
    )
    return Certification(certificates, len(rows), int(seen.sum()), int((~seen & ~graded).sum()))


def _order(prompt_ids: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return an order of prompts that depends on their ids alone, and keeps no neighbours together."""
    return np.argsort([sha256(each.encode()).hexdigest() for each in prompt_ids], kind="stable")


def whole_grades(quality: Float64Array) -> Grades:
    """Return qualities in whole steps of 1 / `GRADE_STEPS`, rounded down; 0 where one is unknown.

    >>> whole_grades(np.array([0.29, 1 / 3, np.nan])).tolist()
    [290, 333, 0]
    """
    return np.floor(np.nan_to_num(quality) * GRADE_STEPS + _ROUNDING).astype(np.int16)


def single_success(success: npt.NDArray[Any], known: BoolArray) -> Float64Array:
    """Return each model's success rate, or mean quality, over its known answers, shape (n_models,).

    -1 for a model with fewer than half as many answers as the model with the most: too few to send everything there.

    >>> known = np.array([[True, True, False], [True, False, False], [True, True, True], [True, True, False]])
    >>> single_success(known, known).tolist()
    [1.0, 1.0, -1.0]
    """
    n_known = known.sum(axis=0)
    rate = success.sum(axis=0) / np.maximum(n_known, 1)
    return np.where(2 * n_known < n_known.max(), -1.0, rate)


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How the rules of the walk fared on the calibration prompts.

    Attributes
    ----------
    n_prompts : int
    n_succeeded, n_missing : shape (n_values,)
        At each of `SUCCESS_VALUES`, prompts that succeeded (or the sum of their qualities), and prompts without an
        outcome of the chosen model.
    design_effect : shape (n_values,), 1 or more
    grades : from `whole_grades`, shape (n_values, n_prompts)
        If mean quality is to be certified; else None.
    """

    n_prompts: int
    n_succeeded: npt.NDArray[Any]
    n_missing: npt.NDArray[Any]
    design_effect: Float64Array
    grades: Grades | None = None

    @classmethod
    def of(
        cls, reached: BoolArray | Grades, missing: BoolArray, sessions: Sequence[object], texts: Sequence[object]
    ) -> "RuleCounts":
        """Count what each rule reached: successes (bool) or `whole_grades`, shape (n_values, n_prompts)."""
        grades = None if reached.dtype == np.bool_ else reached.astype(np.int16, copy=False)
        return cls(
            n_prompts=reached.shape[1],
            n_succeeded=reached.sum(axis=1) / (1 if grades is None else GRADE_STEPS),
            n_missing=missing.sum(axis=1),
            design_effect=design_effects(reached, sessions, texts),
            grades=grades,
        )

    def last_certified(self, target: float, level: float) -> int:
        """Walk the tests of a target and return the index of the last value that is certified; -1 for none."""
        if self.grades is None:
            effective = self.n_succeeded / self.design_effect, self.n_prompts / self.design_effect
            return int(last_rejected(*effective, target=target, level=level))
        for value, (grades, effect) in enumerate(zip(self.grades, self.design_effect, strict=True)):
            if not shows_mean(grades / GRADE_STEPS, target, level=level, design_effect=float(effect)):
                return value - 1
        return len(self.grades) - 1


def check_targets(targets: Sequence[float], delta: float) -> tuple[float, ...]:
    """Return the targets in ascending order without repetition.

    Raises
    ------
    TrainingError
        If there are no targets, or one of them or `delta` is not above 0 and below 1.
    """
    distinct = sorted({round(float(target), 8) for target in targets})
    if not distinct or not all(0 < target < 1 for target in distinct):
        raise TrainingError(f"target success {list(targets)}; expected one or more rates above 0 and below 1")
    if not 0 < delta < 1:
        raise TrainingError(f"delta={delta!r}; expected a probability above 0 and below 1, e.g. 0.1")
    return tuple(distinct)


def default_targets(success: Float64Array, known: BoolArray) -> tuple[float, ...]:
    """Return the default targets: `DEFAULT_SHARES` of the best single model's rate, rounded down to percents.

    Parameters
    ----------
    success : shape (n_prompts, n_models); 1 or 0, or quality, on *training* prompts, any value if not `known`
    known : shape (n_prompts, n_models)

    Examples
    --------
    The better of two models succeeds on 3 of 4 prompts: 0.95 x 0.75 = 0.7125 and 0.9 x 0.75 = 0.675.

    >>> success = np.array([[1.0, 0], [1, 1], [1, 0], [0, 0]])
    >>> default_targets(success, np.ones((4, 2), bool))
    (0.67, 0.71)
    """
    count = known.sum(axis=0)
    best = float((np.where(known, success, 0).sum(axis=0) / np.maximum(count, 1)).max())
    found = {math.floor(share * best * 100 + 1e-9) / 100 for share in DEFAULT_SHARES}
    return tuple(sorted(target for target in found if 0 < target < 1))


def chosen_by_value(p_success: Float64Array, cost_usd: Float64Array, eligible: BoolArray) -> npt.NDArray[np.intp]:
    """Return the model chosen for each prompt at each of `SUCCESS_VALUES`, shape (n_values, n_prompts).

    Parameters
    ----------
    p_success, cost_usd, eligible : shape (n_prompts, n_models)
        Predictions (or expected quality, for values of quality), and which models a decision may choose.
    """
    first = [best_by_value(p_success, cost_usd, eligible, success_value_usd=value) for value in SUCCESS_VALUES]
    return np.array(first, dtype=np.intp)


def last_rejected(
    n_succeeded: npt.NDArray[Any], n_prompts: npt.ArrayLike, *, target: float, level: float
) -> Int64Array:
    """Walk each sequence of tests and return the index of the last value that is certified; -1 for none.

    Parameters
    ----------
    n_succeeded : shape (n_values,) or (n_values, n_draws)
        Successes among `n_prompts`, in the order of the walk. Both are divided by the design effect, so they need not
        be whole.
    n_prompts : number, or array that broadcasts with `n_succeeded`
    level : the allowed probability of an error for this target

    Returns
    -------
    int64 array of shape () or (n_draws,)

    Examples
    --------
    For "0.9 at level 0.1", at least 95 of 100 prompts must succeed. The walk ends before the fourth value:

    >>> int(last_rejected(np.array([97, 95, 94, 99]), 100, target=0.9, level=0.1))
    1
    """
    rejected = binomial_p_value(n_succeeded, n_prompts, target) <= level
    return np.asarray(np.cumprod(rejected, axis=0).sum(axis=0) - 1, dtype=np.int64)


def prompts_needed(target: float, level: float) -> int:
    """Return the fewest prompts on which a target can be certified, even if all succeed: ``t ** n <= level``.

    >>> prompts_needed(0.9, 0.1)
    22
    """
    return max(1, math.ceil(math.log(level) / math.log(target) - 1e-9))


def certificates_of(
    counts: RuleCounts,
    single_success: Float64Array,
    *,
    targets: Sequence[float],
    delta: float,
    models: tuple[str, ...],
    quality_bar: float | None,
    split_hash: str,
) -> tuple[Certificate, ...]:
    """Certify each target at ``delta / len(targets)``.

    Parameters
    ----------
    counts : of the calibration prompts
    single_success : shape (n_models,)
        Success rate, or mean quality, of each model on the same prompts.
    """
    level = delta / len(targets)
    safest = int(np.argmax(single_success))
    found = []
    for target in targets:
        last = counts.last_certified(target, level)
        certified, at = last >= 0, max(last, 0)
        found.append(
            Certificate(
                target_success=target,
                quality_bar=quality_bar,
                delta=delta,
                n_targets=len(targets),
                split_hash=split_hash,
                n_prompts=counts.n_prompts,
                n_missing=int(counts.n_missing[at]),
                design_effect=float(counts.design_effect[at]),
                realised_success=float(counts.n_succeeded[at]) / counts.n_prompts,
                success_value_usd=SUCCESS_VALUES[last] if certified else None,
                safest_model=models[safest],
                safest_success=float(single_success[safest]),
                reason=None if certified else why_not(counts, target=target, level=level),
                grades=tuple(counts.grades[at].tolist()) if certified and counts.grades is not None else (),
            )
        )
    return tuple(found)


def why_not(counts: RuleCounts, *, target: float, level: float) -> str:
    r"""Say why a target is not certified, from the successes of the likeliest model.

    >>> def counts(n_succeeded, n_prompts, n_missing=0, effect=1.0):
    ...     return RuleCounts(n_prompts, np.array([n_succeeded]), np.array([n_missing]), np.array([effect]))
    >>> why_not(counts(20, 20), target=0.9, level=0.1)
    '20 calibration prompts are too few: 22 or more are needed, even if all succeed'
    >>> why_not(counts(100, 100, effect=5.0), target=0.9, level=0.1).split(":")[0]
    '100 calibration prompts, which count as 20 because some belong together, are too few'
    >>> why_not(counts(850, 1200), target=0.9, level=0.1)
    'of 1,200 calibration prompts only 0.708 succeed even if each goes to the model likeliest to succeed'
    >>> print(why_not(counts(1083, 1200), target=0.9, level=0.1).replace("; ", ";\n"))
    of 1,200 calibration prompts 0.902 succeed if each goes to the model likeliest to succeed;
    to be sure of 0.9 (at level 0.1) takes 0.912
    """
    if counts.grades is not None:
        return _why_no_mean(counts, counts.grades[0] / GRADE_STEPS, level=level)
    needed = prompts_needed(target, level)
    n_effective = counts.n_prompts / float(counts.design_effect[0])
    among = _calibration_prompts(counts)
    if n_effective < needed:
        return f"{among} are too few: {needed:,} or more are needed, even if all succeed"
    rate, best = counts.n_succeeded[0] / counts.n_prompts, "if each goes to the model likeliest to succeed"
    best += _missing_answers(counts)
    if rate < target:
        return f"of {among} only {rate:.3f} succeed even {best}"
    tried = np.arange(counts.n_prompts + 1) / counts.n_prompts
    enough = binomial_p_value(tried * n_effective, n_effective, target) <= level
    takes = tried[int(np.argmax(enough))]
    return f"of {among} {rate:.3f} succeed {best}; to be sure of {target:g} (at level {level:.3g}) takes {takes:.3f}"


def _why_no_mean(counts: RuleCounts, quality: Float64Array, *, level: float) -> str:
    effect = float(counts.design_effect[0])
    bound = mean_lower_bound(quality, level=level, design_effect=effect)
    return (
        f"on {_calibration_prompts(counts)} mean quality is {quality.mean():.3f} if each goes to the model of the "
        f"highest expected quality{_missing_answers(counts)}; this shows {bound:.3f} or more (at level {level:.3g})"
    )


def _calibration_prompts(counts: RuleCounts) -> str:
    among = f"{counts.n_prompts:,} calibration prompts"
    if counts.design_effect[0] > CLUSTERED:
        n_effective = counts.n_prompts / float(counts.design_effect[0])
        among += f", which count as {n_effective:,.0f} because some belong together,"
    return among


def _missing_answers(counts: RuleCounts) -> str:
    n, share = int(counts.n_missing[0]), counts.n_missing[0] / counts.n_prompts
    return f" ({n:,} answers of that model, {percent(share)}, are missing and count as failures)" if n else ""


def split_hash(texts: Sequence[int]) -> str:
    """Return a hash of prompts that does not depend on their order, from the hashes of their texts."""
    return f"sha256:{sha256(b''.join(each.to_bytes(8, 'big') for each in sorted(texts))).hexdigest()}"


def text_hashes(outcomes: Outcomes) -> list[int]:
    """Return a hash of each prompt's text."""
    return [hash_of(prompt) for prompt in outcomes.prompts]
