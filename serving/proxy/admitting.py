"""Admit a call, with the candidates that the caller's budget can pay for.

A candidate's greatest cost is computed only if the caller or the service has a budget.
"""

from collections.abc import MutableMapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from router_model.serving.access.admission import Admission
from router_model.serving.access.authentication import Access
from router_model.serving.common.callers import Caller
from router_model.serving.common.service_errors import BudgetExceededError
from router_model.serving.formats.worst_cases import worst_cases_usd
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.proxy_request import ProxyRequest

WorstCases: TypeAlias = dict[str, Decimal]
"""The greatest cost of each candidate, in USD, by `Target.name`; empty if nothing limits the caller."""


def admit(
    access: Access, scope: MutableMapping[str, Any], caller: Caller, asked: ProxyRequest, targets: Sequence[Target]
) -> tuple[Sequence[Target], Admission, WorstCases]:
    """Return the callable candidates, the amount reserved for the dearest of them, and the amount for each.

    Candidates that may cost more than is left of the budget are left out, the dearest first.

    Raises
    ------
    BudgetExceededError
        If even the cheapest may.
    RateLimitedError, NotReadyError, InvalidRequestError
        See `Access.admit`, `worst_cases_usd`.
    """
    worst: WorstCases = {}

    def dearest() -> Decimal:
        worst.update(zip((target.name for target in targets), worst_cases_usd(asked.call, targets), strict=True))
        return max(worst.values())

    try:
        return targets, access.admit(scope, caller, dearest, within_s=asked.total_s), worst
    except BudgetExceededError as exc:
        refusal = exc
    for amount in sorted(set(worst.values()), reverse=True)[1:]:
        try:
            admission = access.admit(scope, caller, partial(_same, amount), within_s=asked.total_s)
        except BudgetExceededError as exc:
            refusal = exc
        else:
            return [target for target in targets if worst[target.name] <= amount], admission, worst
    raise refusal


def _same(amount: Decimal) -> Decimal:
    return amount
