"""*Now*: what was asked, what it cost and saved, and how it went, from five minutes to thirty days, kept fresh."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.console.figures import Rate, percentiles, saved, series, shares, total, usd_of
from router_model.serving.console.pictures import Picture, over_time
from router_model.serving.console.visit import Page, Visit
from router_model.serving.decision_log.store import Summaries
from router_model.serving.decision_log.summaries import Tree

PERIODS: Final = {
    "5m": ("5 minutes", timedelta(minutes=5)),
    "1h": ("1 hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
_REFRESH_S: Final = {"5m": 5, "1h": 5}
_REFRESH_LONG_S: Final = 30
_PERCENTILES: Final = (0.5, 0.9, 0.99)


async def show(visit: Visit) -> Response:
    """Show the figures of a period; htmx asks for the part with the figures alone."""
    period = visit.query("period", "1h")
    if period not in PERIODS:
        period = "1h"
    is_live = visit.query("live", "1") != "0"
    key = visit.summed
    now = datetime.now(UTC)
    since, why_not = now - PERIODS[period][1], ""
    try:
        found = await visit.parts.log.ask(lambda reader: reader.summaries(since, key=key, now=now))
    except NotReadyError as exc:  # what this worker knows itself is shown all the same
        found, why_not = Summaries(since, now, [], 0), exc.message
    tree = total(found)
    # The pictures refresh by themselves, and more seldom.
    pictures = {} if visit.is_partial else await _pictures(found, tree, now)
    return visit.render(
        "now_figures.html" if visit.is_partial else "now.html",
        periods=PERIODS,
        period=period,
        is_live=is_live,
        refresh_s=_REFRESH_S.get(period, _REFRESH_LONG_S),
        found=found,
        why_not=why_not,
        now=now,
        figures=_figures(tree),
        pictures=pictures,
        state=_state(visit) if visit.sees_all else None,
    )


async def show_pictures(visit: Visit) -> Response:
    """Show what happened over time."""
    period = visit.query("period", "1h")
    now = datetime.now(UTC)
    since = now - PERIODS.get(period, PERIODS["1h"])[1]
    found = await visit.parts.log.ask(lambda reader: reader.summaries(since, key=visit.summed, now=now))
    return visit.render("now_pictures.html", pictures=await _pictures(found, total(found), now))


async def _pictures(found: Summaries, tree: Tree, now: datetime) -> dict[str, Picture]:
    if not tree.get("n_decisions") and not tree.get("n_calls"):
        return {}
    points = [_point(begin, part) for begin, part in series(found, now)]
    models = {model: part for model, _, part in shares(tree.get("models", {}))}
    return await asyncio.to_thread(over_time, points, models)


def _figures(tree: dict[str, Any]) -> dict[str, Any]:
    n_calls, errors = int(tree.get("n_calls", 0)), tree.get("errors", {})
    judged = tree.get("judged", {})
    n_judged, won = (sum(one[name] for one in judged.values()) for name in ("n", "won"))
    return {
        "n_decisions": int(tree.get("n_decisions", 0)),
        "n_named": int(tree.get("n_named", 0)),
        "models": shares(tree.get("models", {})),
        "reasons": shares(tree.get("reasons", {})),
        "usd": usd_of(tree),
        "n_unpriced": int(sum(one["unpriced"] for models in tree.get("spend", {}).values() for one in models.values())),
        "saved": saved(tree),
        "success": Rate.of(won, n_judged),
        "success_by_model": {model: Rate.of(one["won"], one["n"]) for model, one in sorted(judged.items())},
        "n_calls": n_calls,
        "n_errors": int(sum(errors.values())),
        "error_rate": Rate.of(sum(errors.values()), n_calls),
        "errors": shares(errors),
        "failing": shares(tree.get("failing", {})),
        "answered": Rate.of(tree.get("n_answered", 0), tree.get("n_called", 0)),
        "fallbacks": Rate.of(tree.get("n_fallbacks", 0), tree.get("n_called", 0)),
        "n_fallbacks": int(tree.get("n_fallbacks", 0)),
        "n_retried": int(tree.get("n_retried", 0)),
        "n_degraded": int(tree.get("n_degraded", 0)),
        "n_explored": int(tree.get("n_explored", 0)),
        "times": [
            ("Whole answer", percentiles(tree.get("latency_s"), *_PERCENTILES)),
            ("First token", percentiles(tree.get("first_token_s"), *_PERCENTILES)),
            ("Decision", percentiles(tree.get("decision_s"), *_PERCENTILES)),
        ],
    }


def _point(begin: datetime, tree: dict[str, Any]) -> dict[str, Any]:
    latency = percentiles(tree.get("latency_s"), *_PERCENTILES[:2])
    return {
        "begin": begin,
        "n": int(tree.get("n_decisions", 0) + tree.get("n_named", 0)),
        "usd": usd_of(tree),
        "n_errors": int(sum(tree.get("errors", {}).values())),
        "p50": latency[0],
        "p90": latency[1],
    }


def _state(visit: Visit) -> dict[str, Any]:
    """Return the state of this worker: what of it is in no log."""
    parts = visit.parts
    breakers = () if parts.proxy is None else parts.proxy.breaker_states().items()
    troubles = {} if parts.proxy is None else parts.proxy.troubles()
    stats = parts.log.stats
    return {
        "log": stats,
        "is_writable": parts.log.writable,
        "is_ready": parts.engines.ready,
        "breakers": sorted((*name, state.value, troubles.get(name)) for name, state in breakers),
        "n_workers": parts.settings.workers,
    }


PAGES: Final = (Page("", show, "Now"), Page("/now/pictures", show_pictures))
