"""*Router*: what the router learned and promises, what is tried beside it, and the way forward and back."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

from starlette.responses import Response

from router_model.charts import CostCurve, CostPoint
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError
from router_model.serving.console.pictures import Picture, of_frontier, of_reliability
from router_model.serving.console.place_view import Action, PlaceView, change, place_as_seen, place_view
from router_model.serving.console.previews import loaded_routers
from router_model.serving.console.router_facts import Measured, router_facts
from router_model.serving.console.training_commands import DRIFT_PERIODS, NO_LOG, PERIODS, AtHand, check_drift, promote
from router_model.serving.console.visit import Page, Visit

_ADMINS: Final = frozenset({Role.ADMIN})
_LONGEST_REASON: Final = 400
_URL: Final = "/console/router"


async def show(visit: Visit) -> Response:
    """Show the routers that are loaded; to an operator also the place that they come from."""
    place = await place_view(visit.settings) if visit.sees_all else PlaceView()
    page = _page(visit, place)
    pictures = {
        side: await asyncio.to_thread(_pictures, facts.measured)
        for side, facts in page["routers"].items()
        if facts.measured is not None
    }
    return visit.render("router.html", **page, pictures=pictures, done=visit.query("done"))


async def confirm(visit: Visit) -> Response:
    """Ask whether a change is meant, and say what it does."""
    place, action = await place_view(visit.settings), _action(visit.query("action"))
    if action not in place.actions:
        raise NotFoundError(f"there is nothing to {action} now; look at the page of the router")
    status = visit.engine.status
    return visit.render(
        "router_confirm.html",
        place=place,
        action=action.value,
        target=place.target(action),
        canary=status["canary"],
        hand=AtHand.of(visit.settings),
        periods=PERIODS,
        no_log=NO_LOG,
    )


async def carry_out(visit: Visit) -> Response:
    """Make a change that was confirmed."""
    action, reason = _action(visit.form.get("action", "")), visit.form.get("reason", "").strip()
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise InvalidRequestError(
            f"reason: expected one line of up to {_LONGEST_REASON} characters, for the history", param="reason"
        )
    settings, form = visit.settings, visit.form
    place, said = (
        await place_as_seen(settings, action, form.get("seen", "")),
        f"{reason} (console, key {visit.key_name}, {visit.caller.key_id})",
    )
    if action is Action.PROMOTE:
        period, is_forced = form.get("period", ""), "forced" in form
        passage = await promote(settings, place, period=period, reason=said, is_forced=is_forced, router=_named(visit))
        if not passage.is_promoted:
            return visit.render("router_gate.html", place=place, passage=passage, period=period, reason=reason)
    else:
        await change(place, action, said)
    await visit.engine.reload()
    of = {"of": visit.router} if visit.routers else {}
    return visit.redirect(_URL, done=action.value, **of)


async def drift(visit: Visit) -> Response:
    """Check the log for drift, and show what was found."""
    found = await check_drift(visit.settings, visit.form.get("period", ""), router=_named(visit))
    if visit.is_partial:
        return visit.render("router_drift.html", found=found)
    return visit.render("router_drift_page.html", found=found)


def _named(visit: Visit) -> str | None:
    """Return the router's name where there are several: else all of the log is its own."""
    return visit.router if visit.routers else None


def _action(name: str) -> Action:
    try:
        return Action(name)
    except ValueError:
        raise InvalidRequestError(
            f"action: got {name[:32]!r}; expected one of {', '.join(Action)}", param="action"
        ) from None


def _page(visit: Visit, place: PlaceView) -> dict[str, Any]:
    status: Mapping[str, Any] = visit.engine.status
    today = _today()
    loaded = status["loaded_at"]
    return {
        "routers": {side: router_facts(router, today) for side, router in loaded_routers(visit.engine).items()},
        "state": status,
        "loaded_at": None if loaded is None else datetime.fromtimestamp(loaded, UTC),
        "default_plan": status["default_plan"],
        "place": place,
        "settings": visit.settings,
        "periods": DRIFT_PERIODS,
    }


@lru_cache(maxsize=4)  # a champion and a challenger, and those before them
def _pictures(measured: Measured) -> dict[str, Picture]:
    points, here = measured.frontier, measured.point
    costs, qualities = [one.cost_usd for one in points], [one.quality for one in points]
    curve = CostCurve("the router, at each value of quality", costs, qualities)
    singles = [CostPoint(one.label, one.cost_usd, one.quality) for one in measured.singles]
    router = CostPoint("router", here.cost_usd, here.quality, kind="router", needed=True)
    found = {"frontier": of_frontier(curve, router, singles)}
    return found | {"reliability": of_reliability(measured.reliability)} if measured.reliability else found


def _today() -> date:
    return datetime.now(UTC).date()


PAGES: Final = (
    Page("/router", show, "Router"),
    Page("/router/confirm", confirm, roles=_ADMINS),
    Page("/router/drift", drift, roles=_ADMINS, method="POST"),
    Page("/router/change", carry_out, roles=_ADMINS, method="POST"),
)
