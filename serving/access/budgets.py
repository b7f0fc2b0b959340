"""Budgets of keys and of the service: reserve a call's greatest cost first, then settle its real cost.

Calls at the same time can never spend more than the budget together, because each reserves its greatest cost before it
is sent (`router_model.serving.access.ledger`, shared by all workers of a machine). If a call's process is killed, its
reservation expires and the money is free again. Keys without a budget are not checked.

One key's calls under way reserve at most three quarters of the unspent part of the service's budget, so that no key
can block the others with calls that it holds open. The written part of a stream counts as spent, not as reserved.

Simplifies: a reservation is the worst case of one attempt. If failed attempts are billed, too, or a provider
bills more than its list price, the settled cost may exceed the reservation; the real cost is recorded all the same.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

from router_model.serving.access.key_budget import KeyBudget, dollars, nanos, plain, usd_of
from router_model.serving.access.ledger import Account, Balance, Hold, Ledger, LedgerError
from router_model.serving.access.limits import format_duration
from router_model.serving.common.callers import INSECURE
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.retry_after import retry_after_text
from router_model.serving.common.service_errors import BudgetExceededError, NotReadyError, SettingsError

logger = logging.getLogger(__name__)

SERVICE: Final = "service"
"""The account of all calls together; ids of keys are longer, so it cannot collide with one."""
EXPIRES_AFTER_S: Final = 60.0
"""How long after the deadline of its call a reservation expires."""
_SOON_S: Final = 1
_SHARE: Final = "share"
"""The name of a key's share of the service's budget; ids of keys are longer, so it cannot collide with one."""
_logger = logging.getLogger(__name__)


class BudgetMeter(Protocol):
    """Receives the states of budgets; `router_model.serving.monitoring.telemetry.Telemetry` is one."""

    def set_budget_remaining(self, account: str, usd: float) -> None:
        """Receive what is left of a budget."""

    def count_budget_spent(self, account: str, usd: float) -> None:
        """Count what a call cost."""

    def count_budget_refused(self, account: str) -> None:
        """Count a call that was too expensive."""


class Reservation:
    """Money reserved for one call, until it is settled or released; only the first of these counts.

    Attributes
    ----------
    headers : to send along with the answer
    """

    def __init__(self, budgets: "Budgets", hold: Hold, headers: dict[str, str]) -> None:
        self.headers = headers
        self._budgets = budgets
        self._hold: Hold | None = hold
        self._spent = 0

    def go_on(self, cost_usd: float, left_usd: Decimal) -> None:
        """Record what a call under way has cost so far, and what it may still cost; never more than was reserved.

        If the budgets cannot be written now, the reservation stays as it is.
        """
        if self._hold is None or not math.isfinite(cost_usd):
            return
        most = self._spent + self._hold.amount
        spent = max(min(nanos(cost_usd), most), self._spent)
        left = min(nanos(left_usd), most - spent)
        if (spent, left) != (self._spent, self._hold.amount):
            try:
                self._hold = self._budgets.go_on(self._hold, spent - self._spent, left)
            except LedgerError as exc:
                # `_spent` stays as it is, so the next `go_on` or `settle` contains this cost, too.
                _logger.warning("the cost of a call so far could not be recorded; it is recorded later: %s", exc)
            else:
                self._spent = spent

    def settle(self, cost_usd: float | None) -> None:
        """Record what the call cost, once it has ended; None: unknown, so it counts as the worst case."""
        hold, self._hold = self._hold, None
        if hold is not None:
            unknown = cost_usd is None or not math.isfinite(cost_usd)
            rest = hold.amount if unknown or cost_usd is None else nanos(cost_usd) - self._spent
            self._budgets.settle(hold, rest)

    def release(self) -> None:
        """Release the money: the call cost nothing."""
        self.settle(0.0)


class Budgets:
    """Reserves and settles the costs of calls.

    Parameters
    ----------
    path : Path
        File of the ledger; opened when there is a budget.
    service : KeyBudget or None
        For all calls together, whoever makes them.
    meter : BudgetMeter or None
    now : UTC
    fails_open : bool
        Let calls through while the file cannot be used (a full disk); else they are refused.
    """

    def __init__(
        self,
        path: Path,
        *,
        service: KeyBudget | None = None,
        meter: BudgetMeter | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        fails_open: bool = False,
    ) -> None:
        self._path = path
        self._fails_open = fails_open
        self._throttle = LogThrottle()
        self._service = service
        self._meter = meter
        self._now = now
        self._opened: Ledger | None = None
        self._opening = threading.Lock()

    def open(self, *, needed: bool) -> None:
        """Open the file now, if it is `needed` or the service has a budget.

        Raises
        ------
        SettingsError
            If it cannot be used.
        """
        try:
            if needed or self._service is not None:
                self._ledger()
        except LedgerError as exc:
            raise SettingsError(f"{exc}; see --budget-file (ROUTER_BUDGET_FILE)") from exc

    def reserve(
        self, key_id: str, budget: KeyBudget | None, worst_usd: Callable[[], Decimal], *, within_s: float
    ) -> Reservation | None:
        """Reserve the greatest cost of a call.

        Parameters
        ----------
        budget : of the key
        worst_usd : the worst case in USD; computed only if there is a budget
        within_s : seconds
            After which the call has ended at the latest.

        Returns
        -------
        Reservation or None
            None if nothing limits the call, or if budgets cannot be kept now and fail open.

        Raises
        ------
        BudgetExceededError
            If it is more than is left.
        NotReadyError
            If the budgets cannot be kept now, and fail closed.
        """
        # The key comes first: the headers below take its balance from the first place.
        limits = [(name, one) for name, one in ((key_id, budget), (SERVICE, self._service)) if one is not None]
        if not limits:
            return None
        amount, now = nanos(worst_usd()), self._now()
        expires_at = now.timestamp() + within_s + EXPIRES_AFTER_S
        accounts = [_account(name, one, now) for name, one in limits]
        # A service without keys has one caller, so there is nobody to keep a part of the budget for.
        if self._service is not None and key_id != INSECURE.key_id:
            accounts.append(replace(accounts[-1], name=f"{SERVICE}/{key_id}", share_of=SERVICE))
        try:
            hold, balances = self._ledger().reserve(
                accounts, amount, day=now.toordinal(), now=now.timestamp(), expires_at=expires_at
            )
        except LedgerError as exc:
            if self._fails_open:
                if n_times := self._throttle.due("open"):
                    logger.error("%d calls were let through without a check of their budget: %s", n_times, exc)  # noqa: TRY400
                return None
            raise NotReadyError(f"{exc}; try again", headers={"retry-after": str(_SOON_S)}) from exc
        if hold is None:
            raise self._refusal(key_id, limits, balances, amount, now)
        self._report(limits, balances, amount)
        headers = {} if budget is None else _headers(budget, balances[0].remaining - amount, now)
        return Reservation(self, hold, headers)

    def go_on(self, hold: Hold, spent: int, left: int) -> Hold:
        """Record what a call under way has cost since the last time, and reserve the rest; amounts in nano-USD."""
        kept = self._ledger().go_on(hold, spent, left)
        self._count_spent(hold, spent)
        return kept

    def settle(self, hold: Hold, spent: int) -> None:
        """Record the unrecorded cost of a call, in nano-USD; negative if too much was recorded before."""
        self._ledger().settle(hold, spent)
        # A Prometheus counter must not go down, so a correction downwards is only in the ledger.
        self._count_spent(hold, max(spent, 0))

    def balance(self, key_id: str, budget: KeyBudget) -> Balance:
        """Return the state of a key's budget."""
        now = self._now()
        return self._ledger().balance(_account(key_id, budget, now), now=now.timestamp())

    def standings(self, keys: Iterable[tuple[str, KeyBudget]]) -> list[tuple[str, KeyBudget, Balance]]:
        """Return the state of the budgets of keys, and of the service's if it has one."""
        service = [] if self._service is None else [(SERVICE, self._service)]
        return [(name, budget, self.balance(name, budget)) for name, budget in (*service, *keys)]

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _ledger(self) -> Ledger:
        opened = self._opened
        if opened is not None:
            return opened
        with self._opening:
            self._opened = self._opened or Ledger(self._path)
            return self._opened

    def _count_spent(self, hold: Hold, spent: int) -> None:
        if self._meter is not None:
            for name in hold.accounts:
                # A share only reserves; its cost is counted in the service's account.
                if name not in hold.shares:
                    self._meter.count_budget_spent(name, float(usd_of(spent)))

    def _report(self, limits: list[tuple[str, KeyBudget]], balances: list[Balance], amount: int) -> None:
        if self._meter is not None:
            # A share has no amount that an operator set, so it is not reported.
            for (name, _), balance in zip(limits, balances, strict=False):
                self._meter.set_budget_remaining(name, float(usd_of(balance.remaining - amount)))

    def _refusal(
        self, key_id: str, limits: list[tuple[str, KeyBudget]], balances: list[Balance], amount: int, now: datetime
    ) -> BudgetExceededError:
        (name, budget), balance = next(
            (one, balance)
            for one, balance in zip([*limits, (_SHARE, limits[-1][1])], balances, strict=False)
            if balance.spent + balance.reserved + amount > balance.limit
        )
        if self._meter is not None:
            self._meter.count_budget_refused(key_id if name == _SHARE else name)
        headers = _headers(budget, balance.remaining, now) if name == key_id else {}
        return BudgetExceededError(
            _why(name, budget, balance, amount, now), headers=headers | _when(budget, balance, amount, now)
        )


def _account(name: str, budget: KeyBudget, now: datetime) -> Account:
    return Account(name, nanos(budget.usd), budget.begin(now.date()).toordinal())


def _why(name: str, budget: KeyBudget, balance: Balance, amount: int, now: datetime) -> str:
    """Say why a call was refused; the service's amounts are kept from callers."""
    cost = dollars(usd_of(amount))
    if name == SERVICE:
        return f"this call may cost up to {cost}; less is left of the service's budget for this {budget.per} (UTC)"
    if name == _SHARE:
        return (
            f"this call may cost up to {cost}; together with this key's calls under way, that is more than one key may "
            f"reserve of the rest of the service's budget for this {budget.per} (UTC); wait until one of them has "
            "ended, or ask for fewer max_tokens"
        )
    ends = budget.end(now.date())
    until = "" if ends is None else f", or wait until {ends:%Y-%m-%d %H:%M} UTC"
    return (
        f"this call may cost up to {cost}; less is left of the budget of key {name}: of {budget}, "
        f"{dollars(usd_of(balance.spent))} is spent and {dollars(usd_of(balance.reserved))} reserved by calls under "
        f"way; ask for fewer max_tokens or a cheaper model{until}"
    )


def _when(budget: KeyBudget, balance: Balance, amount: int, now: datetime) -> dict[str, str]:
    """Return when asking again makes sense: soon, if only calls under way block it."""
    if balance.spent + amount <= balance.limit:
        return {"retry-after": str(_SOON_S)}
    left_s = _left_s(budget, now)
    never = {"x-should-retry": "false"}  # otherwise OpenAI's and Anthropic's SDKs would retry at once, in vain
    return never if left_s is None else never | {"retry-after": retry_after_text(left_s)}


def _headers(budget: KeyBudget, remaining: int, now: datetime) -> dict[str, str]:
    left_s = _left_s(budget, now)
    headers = {
        "x-router-budget-limit-usd": str(plain(budget.usd)),
        "x-router-budget-remaining-usd": f"{plain(usd_of(remaining)):f}",
    }
    return headers if left_s is None else headers | {"x-router-budget-reset": format_duration(left_s)}


def _left_s(budget: KeyBudget, now: datetime) -> float | None:
    ends = budget.end(now.date())
    return None if ends is None else (ends - now).total_seconds()
