"""Certify success rates of a router on calibration prompts, by learn-then-test over the value of a success.

The tested rules are `router_model.policy.rank_by_value` at the values `SUCCESS_VALUES`, from the value that always
chooses the likeliest model down to the value that always chooses the cheapest. This list was fixed before any prompt
was seen. For a target t and each value in turn, the hypothesis "its success rate is below t" is tested with the exact
binomial p-value on calibration prompts. The first hypothesis that is not rejected ends the walk (fixed-sequence
testing). The first true hypothesis on the way is rejected with probability delta at most. So with probability
1 - delta, every value that was passed has a success rate of t or more. The last value passed is the cheapest of them.

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

from router_model.certificate import LIKELIEST_USD, Certificate, binomial_p_value
from router_model.errors import TableError, TrainingError
from router_model.features import Prompt
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.policy import best_by_value
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import prompt_hash
from router_model.training.measuring.evaluate import eligible_models, seen_before
from router_model.training.table.outcomes import Outcomes

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

DEFAULT_DELTA = 0.1
DEFAULT_SHARES = (0.95, 0.9)
"""The default targets, as shares of the best single model's success rate on training prompts."""

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
    n_prompts, n_seen, n_incomplete : int
        Prompts that counted; prompts left out because the router was trained on them; prompts left out because an
        outcome of some model is missing.
    """

    certificates: tuple[Certificate, ...]
    n_prompts: int
    n_seen: int
    n_incomplete: int

    def as_dict(self) -> dict[str, Any]:
        """Return the certification as plain JSON types."""
        return {
            "certificates": [certificate.as_dict() for certificate in self.certificates],
            "n_prompts": self.n_prompts,
            "n_seen": self.n_seen,
            "n_incomplete": self.n_incomplete,
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
    """Certify target success rates of a router on prompts it was not trained on.

    Parameters
    ----------
    outcomes : calibration prompts, with every model of the router
        Training prompts, and prompts without an outcome of every model, are left out.
    targets : success rates, above 0 and below 1
    delta : float
        Largest probability that the certificate of any target is wrong.
    quality_bar : float, optional
        Default: the artifact's.
    features : of the same prompts, if already computed

    Raises
    ------
    TrainingError
        If `targets` or `delta` are out of range.
    TableError
        If a model is missing, or no prompt is left.
    """
    targets = check_targets(targets, delta)
    outcomes = outcomes.select_models(router.models)
    if features is None:
        features = featurise(outcomes.prompts, router.encoder)
    seen = seen_before(router, outcomes.prompts)
    complete = ~np.isnan(outcomes.quality).any(axis=1)
    rows = np.flatnonzero(complete & ~seen)
    n_seen, n_incomplete = int(seen.sum()), int((~complete & ~seen).sum())
    if not len(rows):
        raise TableError(
            f"no prompt to certify on: of {len(outcomes):,}, the router was trained on {n_seen:,} and {n_incomplete:,} "
            "lack an outcome of some model; give prompts it never saw, answered by every model"
        )
    bar = router.artifact.operating_point.quality_bar if quality_bar is None else quality_bar
    kept = outcomes.take(rows)
    table = router.predict_features(features.take(rows), bar)
    success = succeeds(kept.quality, bar)
    eligible = eligible_models(router, kept, features.take(rows), table)
    chosen = chosen_by_value(table.p_success, table.expected_cost_usd, eligible)
    rows_of_safe, safe = router.safe_rows(table, eligible)
    chosen[:, rows_of_safe] = safe
    certificates = certificates_of(
        success[np.arange(len(rows)), chosen].sum(axis=1),
        success.mean(axis=0),
        len(rows),
        targets=targets,
        delta=delta,
        models=router.models,
        quality_bar=bar,
        split_hash=split_hash(kept),
    )
    return Certification(certificates, len(rows), n_seen, n_incomplete)


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
    success : shape (n_prompts, n_models); 1 or 0 on *training* prompts, any value if not `known`
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


def chosen_by_value(
    p_success: Float64Array, cost_usd: Float64Array, eligible: BoolArray, values: Sequence[float] = SUCCESS_VALUES
) -> npt.NDArray[np.intp]:
    """Return the model chosen for each prompt at each value of a success, shape (n_values, n_prompts).

    Parameters
    ----------
    p_success, cost_usd, eligible : shape (n_prompts, n_models)
        Predictions, and which models a decision may choose.
    values : in USD
    """
    first = [best_by_value(p_success, cost_usd, eligible, success_value_usd=value) for value in values]
    return np.array(first, dtype=np.intp)


def last_rejected(
    n_succeeded: npt.NDArray[Any], n_prompts: int | Int64Array, *, target: float, level: float
) -> Int64Array:
    """Walk each sequence of tests and return the index of the last value that is certified; -1 for none.

    Parameters
    ----------
    n_succeeded : shape (n_values,) or (n_values, n_draws)
        Successes among `n_prompts`, in the order of the walk.
    n_prompts : int or int64 array of shape (n_draws,)
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
    n_succeeded: npt.NDArray[Any],
    single_success: Float64Array,
    n_prompts: int,
    *,
    targets: Sequence[float],
    delta: float,
    models: tuple[str, ...],
    quality_bar: float,
    split_hash: str,
) -> tuple[Certificate, ...]:
    """Certify each target at ``delta / len(targets)``.

    Parameters
    ----------
    n_succeeded : shape (n_values,)
        Prompts that succeeded at each of `SUCCESS_VALUES`.
    single_success : shape (n_models,)
        Success rate of each model on the same prompts.
    """
    level = delta / len(targets)
    safest = int(np.argmax(single_success))
    found = []
    for target in targets:
        last = int(last_rejected(n_succeeded, n_prompts, target=target, level=level))
        certified = last >= 0
        found.append(
            Certificate(
                target_success=target,
                quality_bar=quality_bar,
                delta=delta,
                n_targets=len(targets),
                split_hash=split_hash,
                n_prompts=n_prompts,
                realised_success=int(n_succeeded[max(last, 0)]) / n_prompts,
                success_value_usd=SUCCESS_VALUES[last] if certified else None,
                safest_model=models[safest],
                safest_success=float(single_success[safest]),
                reason=None if certified else why_not(int(n_succeeded[0]), n_prompts, target=target, level=level),
            )
        )
    return tuple(found)


def why_not(n_succeeded: int, n_prompts: int, *, target: float, level: float) -> str:
    r"""Say why a target is not certified, from the successes of the likeliest model.

    >>> why_not(20, 20, target=0.9, level=0.1)
    '20 calibration prompts are too few: 22 or more are needed, even if all succeed'
    >>> why_not(850, 1200, target=0.9, level=0.1)
    'of 1,200 calibration prompts only 0.708 succeed even if each goes to the model likeliest to succeed'
    >>> print(why_not(1083, 1200, target=0.9, level=0.1).replace("; ", ";\n"))
    of 1,200 calibration prompts 0.902 succeed if each goes to the model likeliest to succeed;
    to be sure of 0.9 (at level 0.1) takes 0.912
    """
    needed = prompts_needed(target, level)
    if n_prompts < needed:
        return f"{n_prompts:,} calibration prompts are too few: {needed:,} or more are needed, even if all succeed"
    rate = n_succeeded / n_prompts
    among, best = f"of {n_prompts:,} calibration prompts", "if each goes to the model likeliest to succeed"
    if rate < target:
        return f"{among} only {rate:.3f} succeed even {best}"
    enough = binomial_p_value(np.arange(n_prompts + 1), n_prompts, target) <= level
    takes = int(np.argmax(enough)) / n_prompts
    return f"{among} {rate:.3f} succeed {best}; to be sure of {target:g} (at level {level:.3g}) takes {takes:.3f}"


def split_hash(outcomes: Outcomes) -> str:
    """Return a hash of the prompts' texts that does not depend on their order."""
    hashes = sorted(prompt_hash(Prompt.parse(prompt).text) for prompt in outcomes.prompts)
    return f"sha256:{sha256(b''.join(each.to_bytes(8, 'big') for each in hashes)).hexdigest()}"
