"""*Spend*: what calls cost by key, model and day, and what is left of budgets."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from router_model.serving.access.budgets import SERVICE
from router_model.serving.access.key_budget import KeyBudget, usd_of
from router_model.serving.access.ledger import Balance, LedgerError
from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.console.pictures import spent_over_time
from router_model.serving.console.visit import Page, Visit
from router_model.serving.decision_log.store import Summaries
from router_model.serving.decision_log.summaries import NO_KEY, Tree, added

_DAYS: Final = {"1": "Today", "7": "7 days", "30": "30 days"}
_MODELS_IN_PICTURE: Final = 6
_OTHERS: Final = "other models"


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """A budget and how far it is spent, in USD."""

    name: str
    budget: str
    limit: float
    spent: float
    reserved: float
    left: float

    @property
    def share(self) -> float:
        """The share that is spent or reserved."""
        return min((self.spent + self.reserved) / self.limit, 1.0) if self.limit else 1.0


async def show(visit: Visit) -> Response:
    """Show the page."""
    chosen = visit.query("days", "7")
    if chosen not in _DAYS:
        chosen = "7"
    now = datetime.now(UTC)
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=int(chosen) - 1)
    why_not = ""
    try:
        found = await visit.parts.log.ask(lambda reader: reader.summaries(since, key=visit.summed, now=now))
    except NotReadyError as exc:  # budgets are kept elsewhere
        found, why_not = Summaries(since, now, [], 0), exc.message
    by_day = _by_day(found)
    spend: Tree = {}
    for tree in by_day.values():
        added(spend, tree)
    names = visit.parts.access.key_names
    by_model = _by_model(spend)
    return visit.render(
        "spend.html",
        choices=_DAYS,
        chosen=chosen,
        found=found,
        why_not=why_not,
        now=now,
        total=math.fsum(one["usd"] for one in by_model.values()),
        keys=_ordered({names.get(key, _key(key)): _together(models) for key, models in spend.items()}),
        models=_ordered(by_model),
        days=[(day, _together(_by_model(by_day[day]))) for day in sorted(by_day, reverse=True)],
        pictures=await asyncio.to_thread(_picture, by_day, by_model),
        budgets=_budgets(visit),
    )


def _key(key_id: str) -> str:
    return "without a key" if key_id == NO_KEY else key_id


def _by_day(found: Summaries) -> dict[datetime, Tree]:
    """Return what was spent on each day (UTC): key to model to sums."""
    days: dict[datetime, Tree] = defaultdict(dict)
    for begin, tree in found.parts:
        added(days[begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)], tree.get("spend", {}))
    return {day: spend for day, spend in days.items() if spend}


def _by_model(spend: Mapping[str, Any]) -> Tree:
    together: Tree = {}
    for models in spend.values():
        added(together, models)
    return together


def _together(models: Mapping[str, Any]) -> Tree:
    whole: Tree = {}
    for one in models.values():
        added(whole, one)
    return whole


def _ordered(rows: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(rows.items(), key=lambda row: (-row[1]["usd"], row[0]))


def _picture(by_day: Mapping[datetime, Tree], by_model: Mapping[str, Any]) -> dict[str, Any]:
    days = sorted(by_day)
    largest = [model for model, _ in _ordered(by_model)[:_MODELS_IN_PICTURE]]
    rows = {model: [0.0] * len(days) for model in (*largest, _OTHERS)}
    for place, day in enumerate(days):
        for model, one in _by_model(by_day[day]).items():
            rows[model if model in largest else _OTHERS][place] += one["usd"]
    return spent_over_time(days, {model: row for model, row in rows.items() if any(row)})


def _budgets(visit: Visit) -> list[BudgetLeft]:
    """Return the budgets that the visitor may see: its own, or all with the service's."""
    access = visit.parts.access
    try:
        found = access.standings()
    except LedgerError as exc:
        raise NotReadyError(f"{exc}; try again later") from exc
    return [
        _left("the whole service" if name == SERVICE else access.key_name(name), budget, balance)
        for name, budget, balance in found
        if visit.own_key in (None, name)
    ]


def _left(name: str, budget: KeyBudget, balance: Balance) -> BudgetLeft:
    amounts = (balance.limit, balance.spent, balance.reserved, balance.remaining)
    limit, spent, reserved, left = (float(usd_of(amount)) for amount in amounts)
    return BudgetLeft(name, str(budget), limit, spent, reserved, left)


PAGES: Final = (Page("/spend", show, "Spend"),)
