"""Certificates: a rate that a router promises, the confidence of that promise, and the evidence for it.

The rate is the share of answers that meet a quality bar or, without a bar, the *mean quality*, to which a partly good
answer adds a part. Where every grade is 0 or 1, the two are the same.

`router_model.training.measuring.certify` makes a certificate from prompts that the router never saw. The certificate
is stored in the artifact (the saved router) and attached to every decision that follows it. It promises an *average*:
among many prompts like the calibration prompts, at least the target share succeeds. It makes no promise about a single
prompt.
"""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from router_model.errors import ArtifactError
from router_model.mean_bound import shows_mean
from router_model.prediction.bars import BAR_TOLERANCE
from router_model.summary import Summarised, Summary
from router_model.wording import percent

LIKELIEST_USD = 1e6
"""A success value in USD that is so large that the model most likely to succeed is chosen: the safest setting."""

ASSUMPTIONS = (
    "Future prompts are drawn as the calibration prompts were, independently of each other. Prompts of one "
    "conversation or of the same text may depend on each other: they are counted with their design effect. Only "
    "prompts with a graded answer count. Models, prices and the way answers are judged stay as they were; requests "
    "add no constraints of their own. Then, with probability at least 1 - delta over the draw of the calibration "
    "prompts and for all targets certified together (each tested at delta / n_targets), the average success rate (or "
    "mean quality) of routed prompts is at least the target. Nothing is promised of a single prompt, of one kind of "
    "prompts, or under drift."
)

_TARGET_TOLERANCE = 1e-9  # targets that differ by less are equal
_SMALLEST = 1e-9  # of a count; betainc is not defined at 0
CLUSTERED = 1.05  # design effects from here on are worth a word
GRADE_STEPS = 1000
"""Stored grades are whole numbers of this part of 1, rounded down, which makes no promise stronger."""


@dataclass(frozen=True, slots=True, repr=False)
class Certificate(Summarised):
    """A promised rate, or the reason why none is promised.

    Attributes
    ----------
    target_success : float
        Share of prompts that should succeed, or mean quality that they should reach; above 0 and below 1.
    quality_bar : float or None
        The least quality of a success; None if mean quality is promised.
    delta : float
        Largest probability that the promise is wrong for any of the targets that were certified together.
    n_targets : int
        Targets certified together; each was tested at ``delta / n_targets`` (Bonferroni).
    split_hash : str
        Hash of the calibration prompts' texts, which does not depend on their order.
    n_prompts : int
        Number of calibration prompts.
    n_missing : int
        How many of them lack an outcome of the model that the rule chooses; they count as failures, of quality 0.
    design_effect : float
        The prompts count as `n_prompts` divided by it: those of one conversation or text succeed and fail together.
    realised_success : float
        Share of them that succeeded, or their mean quality, by the certified rule, or by the best model of each prompt
        in prediction if nothing is certified.
    success_value_usd : float or None
        The certified value of a success, or of quality 1, for `router_model.policy.rank_by_value`, in USD; None if
        nothing is certified.
    safest_model : str
        The single model with the highest success rate, or mean quality, on calibration prompts. If nothing is
        certified, all prompts go to it.
    safest_success : float
        That rate of its known answers to them. This is an estimate, not a promise.
    reason : str or None
        Why nothing is certified; None if the target is certified.
    assumptions : str
        The conditions under which the promise holds.
    grades : n_prompts whole numbers
        The evidence for certified mean quality: what the rule's answer to each prompt was graded, in thousandths and
        in the order of `router_model.mean_bound`. Empty for a success rate, which its count shows.
    """

    target_success: float
    quality_bar: float | None
    delta: float
    n_targets: int
    split_hash: str
    n_prompts: int
    realised_success: float
    success_value_usd: float | None
    safest_model: str
    safest_success: float
    reason: str | None
    assumptions: str = ASSUMPTIONS
    n_missing: int = 0
    design_effect: float = 1.0
    grades: tuple[int, ...] = field(default=(), repr=False)

    def summary(self) -> Summary:
        """Return the promise in a line, or why there is none."""
        what = "mean quality" if self.quality_bar is None else f"P(quality >= {self.quality_bar:g})"
        if self.reason is not None:
            return Summary(f"Certificate: {what} >= {self.target_success:g} is not certified, because {self.reason}")
        return Summary(
            f"Certificate: {what} >= {self.target_success:g} on average (delta {self.delta:g}; "
            f"{self.realised_success:.3f} on {self.n_prompts:,} calibration prompts)"
        )

    @property
    def certified(self) -> bool:
        """Whether the target is promised."""
        return self.success_value_usd is not None

    @property
    def measure(self) -> str:
        """What is promised: ``success`` (the share of answers that meet the bar) or ``quality`` (the mean quality)."""
        return "quality" if self.quality_bar is None else "success"

    @property
    def promise(self) -> str:
        """What is promised, or not, in a few words."""
        what = "mean quality" if self.quality_bar is None else "success"
        return f"{what} >= {self.target_success:g}"

    def matches(self, target_success: float, quality_bar: float | None) -> bool:
        """Whether this certificate is for this target and bar (None: for mean quality)."""
        if self.quality_bar is None or quality_bar is None:
            same_bar = self.quality_bar is quality_bar
        else:
            same_bar = abs(self.quality_bar - quality_bar) <= BAR_TOLERANCE
        return same_bar and abs(self.target_success - target_success) <= _TARGET_TOLERANCE

    def in_words(self) -> str:
        """Say in words what is promised, or why nothing is promised."""
        if not self.certified:
            why = self.reason or ""
            return (
                f"not certified: {self.promise} on average. {why[:1].upper()}{why[1:]}. "
                f"Requests for it go to {self.safest_model}, the best single model on these prompts "
                f"({self.safest_success:.3f})"
            )
        share = f"{percent(self.n_missing / self.n_prompts)}"
        missing = f", {self.n_missing:,} ({share}) without an outcome counted as failures" if self.n_missing else ""
        effect = (
            f", which count as {self.n_prompts / self.design_effect:,.0f}" if self.design_effect > CLUSTERED else ""
        )
        among = f"{self.n_prompts:,} calibration prompts{effect}"
        found = f"{self.realised_success:.3f} of {among} succeeded"
        if self.quality_bar is None:
            found = f"{self.realised_success:.3f} on {among}"
        return f"certified: {self.promise} on average (delta {self.delta:g}; {found}{missing})"

    def as_dict(self) -> dict[str, Any]:
        """Return the certificate as plain JSON types, with ``certified`` and ``measure``, without the `grades`."""
        stated = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "grades"}
        return {**stated, "certified": self.certified, "measure": self.measure}


def find_certificate(
    certificates: Sequence[Certificate], target_success: float, quality_bar: float | None, *, default_bar: float
) -> Certificate | None:
    """Return the certificate of a target, or None.

    Parameters
    ----------
    quality_bar : the bar that was asked for
        If it is None, the certificate of mean quality is returned, or else that of success at `default_bar`.
    """
    bars = (None, default_bar) if quality_bar is None else (quality_bar,)
    return next((found for bar in bars for found in certificates if found.matches(target_success, bar)), None)


def binomial_p_value(
    n_succeeded: npt.ArrayLike, n_prompts: npt.ArrayLike, target_success: float
) -> npt.NDArray[np.float64]:
    """Return the exact p-value of "the success rate is below the target".

    P(S >= n_succeeded) for S ~ Binomial(n_prompts, target_success): the probability of at least as many successes if
    the rate were exactly the target. The counts broadcast, and need not be whole.

    Examples
    --------
    All of 22 prompts succeed. At a rate of 0.9 this has the probability 0.9 ** 22:

    >>> round(float(binomial_p_value(22, 22, 0.9)), 4), round(0.9**22, 4)
    (0.0985, 0.0985)
    """
    count, n = np.asarray(n_succeeded, dtype=np.float64), np.asarray(n_prompts, dtype=np.float64)
    # The tail of a binomial is an incomplete beta function. Using it avoids loading scipy.stats for a decision.
    return np.where(count > 0, betainc(np.maximum(count, _SMALLEST), n - count + 1.0, target_success), 1.0)


def pack_certificates(certificates: Iterable[Certificate]) -> dict[str, Any]:
    """Return certificates as a JSON object that `unpack_certificates` reads back."""
    return {"certificates": [asdict(certificate) for certificate in certificates]}


def unpack_certificates(content: object, *, models: tuple[str, ...], origin: str) -> tuple[Certificate, ...]:
    """Read certificates and refuse those whose numbers contradict each other or the promise.

    Parameters
    ----------
    content : what `pack_certificates` returned, through JSON
    models : ids the router may choose
    origin : name of the file for error messages

    Raises
    ------
    ArtifactError
        If an entry is malformed, contradicts itself, or makes a promise that its counts do not support.
    """
    entries = content.get("certificates") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not isinstance(content, dict) or set(content) != {"certificates"}:
        raise ArtifactError(f'{origin}: expected {{"certificates": [...]}} and nothing else; certify the router again')
    found: list[Certificate] = []
    for number, entry in enumerate(entries, start=1):
        where = f"{origin}: certificate {number}"
        certificate = _certificate(entry, where)
        _check(certificate, models, where)
        if any(other.matches(certificate.target_success, certificate.quality_bar) for other in found):
            raise ArtifactError(f"{where}: a second one for the same target and bar; certify the router again")
        found.append(certificate)
    return tuple(found)


_NUMBERS = ("target_success", "delta", "realised_success", "safest_success", "design_effect")
_COUNTS = ("n_targets", "n_prompts", "n_missing")
_LATER = {"n_missing": 0, "design_effect": 1.0, "grades": []}
"""What an older certificate, without these fields, is taken to say."""
_MANY = 2**53  # above this, floats do not hold all whole numbers
_TEXTS = ("split_hash", "safest_model", "assumptions")


def _certificate(entry: object, where: str) -> Certificate:
    names = {field.name for field in fields(Certificate)}
    if isinstance(entry, Mapping):
        entry = {**_LATER, **entry}
    if not isinstance(entry, dict) or set(entry) != names:
        got = sorted(entry) if isinstance(entry, Mapping) else entry
        raise ArtifactError(f"{where}: got {got!r}, expected the keys {sorted(names)}; certify the router again")
    right = {
        **{name: _is_number(entry[name]) for name in _NUMBERS},
        **{name: type(entry[name]) is int and entry[name] < _MANY for name in _COUNTS},
        **{name: isinstance(entry[name], str) for name in _TEXTS},
        **{name: entry[name] is None or _is_number(entry[name]) for name in ("quality_bar", "success_value_usd")},
        "grades": isinstance(entry["grades"], list) and all(type(grade) is int for grade in entry["grades"]),
        "reason": entry["reason"] is None or isinstance(entry["reason"], str),
    }
    wrong = [name for name, fits in right.items() if not fits]
    if wrong:
        got = reprlib.repr(entry[wrong[0]])
        raise ArtifactError(f"{where}: {wrong[0]} is {got}, of the wrong type or size; certify again")
    return Certificate(**{**entry, "grades": tuple(entry["grades"])})


def _is_number(value: object) -> bool:
    # compare instead of calling isfinite, which raises OverflowError for whole numbers of 400 digits
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MANY < value < _MANY


def _check(certificate: Certificate, models: tuple[str, ...], where: str) -> None:
    checks = {
        "target_success and delta lie between 0 and 1": 0 < certificate.target_success < 1 > certificate.delta > 0,
        "quality_bar, realised_success and safest_success lie in 0 to 1": all(
            0 <= value <= 1
            for value in (certificate.quality_bar or 0.0, certificate.realised_success, certificate.safest_success)
        ),
        "n_targets and n_prompts are 1 or more": certificate.n_targets >= 1 <= certificate.n_prompts,
        "n_missing are some of n_prompts": 0 <= certificate.n_missing <= certificate.n_prompts,
        "design_effect is 1 or more": certificate.design_effect >= 1,
        "success_value_usd is 0 or more": (certificate.success_value_usd or 0.0) >= 0,
        "safest_model is one of the router's": certificate.safest_model in models,
        "a reason is given if and only if nothing is certified": certificate.certified == (certificate.reason is None),
    }
    broken = [rule for rule, holds in checks.items() if not holds]
    if not broken:
        broken = _unearned_rate(certificate) if certificate.measure == "success" else _unearned_mean(certificate)
    if broken:
        raise ArtifactError(f"{where}: expected that {broken[0]}; it may be forged, certify the router again")


def _unearned_rate(certificate: Certificate) -> list[str]:
    """Return the rule that a success rate breaks, if there is one."""
    n_succeeded = certificate.realised_success * certificate.n_prompts
    if certificate.grades:
        return ["a success rate has no grades"]
    if abs(n_succeeded - round(n_succeeded)) >= 1e-6 * (1 + n_succeeded):
        return ["realised_success is a share of n_prompts"]
    level = certificate.delta / certificate.n_targets
    counted = round(n_succeeded) / certificate.design_effect, certificate.n_prompts / certificate.design_effect
    p_value = float(binomial_p_value(*counted, certificate.target_success))
    if certificate.certified and p_value > level * (1 + 1e-9):
        return [f"the certified rate follows from the counts (p-value {p_value:.3g}, at most {level:.3g})"]
    return []


def _unearned_mean(certificate: Certificate) -> list[str]:
    """Return the rule that a mean quality breaks, if there is one."""
    if not certificate.certified:
        return ["what is not certified has no grades"] if certificate.grades else []
    n = certificate.n_prompts
    # compared as whole numbers: one of 400 digits is no float
    if len(certificate.grades) != n or not all(0 <= grade <= GRADE_STEPS for grade in certificate.grades):
        return [f"there are {n:,} grades from 0 to {GRADE_STEPS:,}, one for each prompt"]
    grades = np.array(certificate.grades, dtype=np.float64) / GRADE_STEPS
    off = abs(float(grades.mean()) - certificate.realised_success)
    if off > _TARGET_TOLERANCE or int((grades == 0).sum()) < certificate.n_missing:
        return ["realised_success is the mean of the grades, and missing ones are 0"]
    level = certificate.delta / certificate.n_targets
    if not shows_mean(grades, certificate.target_success, level=level, design_effect=certificate.design_effect):
        return [f"the certified mean quality follows from the grades at level {level:.3g}"]
    return []
