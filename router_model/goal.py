"""What a decision is to reach: one goal, made once of what a caller wrote.

A goal is one of five small types. Each holds the quality that an answer needs to succeed. The other field has the name
that callers know it by (`Router.route`, the body of ``/v1/route``, the command line). A budget is not a goal of one
request but of a stream of them: `router_model.pacing` finds the value of a success that keeps it.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

from router_model.errors import RequestError

KNOBS: Final = (
    "quality_bar",
    "target_success",
    "success_value_usd",
    "quality_value_usd",
    "cost_quality_tradeoff",
)
"""The fields that callers write. A quality bar goes with any of the others; the others exclude each other."""

MOST_QUALITY, LEAST_COST = 0.0, 10.0
"""Ends of the dial of a `Tradeoff`."""


@dataclass(frozen=True, slots=True)
class OwnTradeoff:
    """Decide as the artifact does by itself: by its own value of a success.

    Attributes
    ----------
    quality_bar : float or None
        The quality an answer needs to succeed; None: the artifact's. So in every goal.
    """

    quality_bar: float | None = None


@dataclass(frozen=True, slots=True)
class TargetSuccess:
    """Succeed this often: by the certificate of the target, else for each prompt by its predicted probability.

    Without a bar, a certificate of mean quality comes before one of success at the artifact's bar.
    """

    target_success: float
    quality_bar: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.target_success <= 1:
            raise RequestError(f"target_success={self.target_success!r}; expected a probability between 0 and 1")


@dataclass(frozen=True, slots=True)
class SuccessValue:
    """Choose the highest ``P(success) * success_value_usd - expected cost``."""

    success_value_usd: float
    quality_bar: float | None = None

    def __post_init__(self) -> None:
        _check_amount("success_value_usd", self.success_value_usd)


@dataclass(frozen=True, slots=True)
class QualityValue:
    """Choose the highest ``expected quality * quality_value_usd - expected cost``."""

    quality_value_usd: float
    quality_bar: float | None = None

    def __post_init__(self) -> None:
        _check_amount("quality_value_usd", self.quality_value_usd)


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """Weigh quality against cost by a dial from 0 (quality) to 10 (cost); see `router_model.tradeoff`."""

    cost_quality_tradeoff: float
    quality_bar: float | None = None

    def __post_init__(self) -> None:
        if not MOST_QUALITY <= self.cost_quality_tradeoff <= LEAST_COST:
            raise RequestError(
                f"cost_quality_tradeoff={self.cost_quality_tradeoff!r}; expected a number from 0 (quality) to 10 (cost)"
            )


Goal: TypeAlias = OwnTradeoff | TargetSuccess | SuccessValue | QualityValue | Tradeoff

OWN_TRADEOFF: Final = OwnTradeoff()
"""The goal of a caller who asks for nothing."""


def read_goal(
    *,
    quality_bar: float | None = None,
    target_success: float | None = None,
    success_value_usd: float | None = None,
    quality_value_usd: float | None = None,
    cost_quality_tradeoff: float | None = None,
) -> Goal:
    """Return the goal that a caller wrote as keywords; None stands for what was not written.

    Raises
    ------
    RequestError
        If two exclude each other, or one is out of its range.

    Examples
    --------
    >>> read_goal(target_success=0.9, quality_bar=0.7)
    TargetSuccess(target_success=0.9, quality_bar=0.7)
    >>> read_goal(target_success=0.9, cost_quality_tradeoff=3)
    Traceback (most recent call last):
    ...
    router_model.errors.RequestError: give one of target_success, success_value_usd, quality_value_usd and \
cost_quality_tradeoff, not more; got target_success=0.9 and cost_quality_tradeoff=3
    """
    written = (target_success, success_value_usd, quality_value_usd, cost_quality_tradeoff)
    if sum(value is not None for value in written) > 1:
        got = [f"{name}={value:g}" for name, value in zip(KNOBS[1:], written, strict=True) if value is not None]
        raise RequestError(
            "give one of target_success, success_value_usd, quality_value_usd and cost_quality_tradeoff, not more; "
            f"got {' and '.join(got)}"
        )
    if target_success is not None:
        return TargetSuccess(target_success, quality_bar)
    if success_value_usd is not None:
        return SuccessValue(success_value_usd, quality_bar)
    if quality_value_usd is not None:
        return QualityValue(quality_value_usd, quality_bar)
    if cost_quality_tradeoff is not None:
        return Tradeoff(cost_quality_tradeoff, quality_bar)
    return OWN_TRADEOFF if quality_bar is None else OwnTradeoff(quality_bar)


def _check_amount(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise RequestError(f"{name}={value!r}; expected an amount in USD, 0 or more")
