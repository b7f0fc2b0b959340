"""Letting a caller in: with the candidates that its budget can pay for."""

from collections.abc import MutableMapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from serving.access.admission import Admission
from serving.access.callers import Caller
from serving.api.parts import Access
from serving.errors import BudgetExceededError
from serving.providers.provider import Target
from serving.proxy.asked import Asked
from serving.proxy.worst_case import worst_cases_usd


def admit(
    access: Access, scope: MutableMapping[str, Any], caller: Caller, asked: Asked, targets: Sequence[Target]
) -> tuple[Sequence[Target], Admission]:
    """Return the candidates that may be called, and what is set aside for the dearest of them.

    Candidates that may cost more than is left of the budget are left out, the dearest first.

    Raises
    ------
    BudgetExceededError
        If even the cheapest may.
    RateLimitedError, NotReadyError, InvalidRequestError
        See `Access.admit`, `worst_cases_usd`.
    """
    try:
        admission = access.admit(scope, caller, lambda: max(worst_cases_usd(asked, targets)), within_s=asked.total_s)
    except BudgetExceededError as exc:
        worst, refusal = worst_cases_usd(asked, targets), exc
    else:
        return targets, admission
    for amount in sorted(set(worst), reverse=True)[1:]:
        try:
            admission = access.admit(scope, caller, partial(_same, amount), within_s=asked.total_s)
        except BudgetExceededError as exc:
            refusal = exc
        else:
            return [target for target, most in zip(targets, worst, strict=True) if most <= amount], admission
    raise refusal


def _same(amount: Decimal) -> Decimal:
    return amount
