"""*Decisions*: find them, open one, and judge its answer."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.responses import Response

from router_model.charts.decision import Attempt, Ending
from router_model.charts.scatter import CostPoint
from router_model.serving.api.reports import take_feedback
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.console.pictures import of_decision
from router_model.serving.console.visit import HOME, Page, Visit
from router_model.serving.decision_log.log_records import DecisionRecord
from router_model.serving.decision_log.rows import Row
from router_model.serving.decision_log.store import SEARCHED, Place, Wanted
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.requests import FeedbackRequest
from router_model.wording import counted

_AT_ONCE: Final = 50
_LONGEST: Final = 256
STATUSES: Final = {
    "": "any",
    "answered": "answered here",
    "failed": "every call failed",
    "uncalled": "not called here",
    "judged": "judged",
    "explored": "explored",
    "degraded": "degraded",
}
_GIVES: Final = frozenset({Role.FEEDBACK, Role.FEEDBACK_ALL})
"""Who may judge answers, here as at ``/v1/feedback``."""
_SHOWN_CHARS: Final = 100_000
_LEAST_CHARS: Final = 100  # that each message counts, so that thousands of short ones are cut, too


async def find(visit: Visit) -> Response:
    """Show the decisions that the filters leave, newest first; an id leads to its decision at once."""
    if visit.query("id"):
        return visit.redirect(f"{HOME}/decisions/{_segment(visit.query('id'))}")
    fields = {
        name: visit.query(name)[:_LONGEST] for name in ("model", "reason", "key", "status", "session", "router", "text")
    }
    times = {name: visit.query(name) for name in ("since", "until")}
    if fields["status"] not in STATUSES:
        raise InvalidRequestError(
            f"status is {fields['status']!r}; expected one of: {', '.join(filter(None, STATUSES))}"
        )
    wanted = Wanted(
        key_id=visit.own_key or fields["key"] or None,
        model=fields["model"] or None,
        reason=fields["reason"] or None,
        session_id=fields["session"] or None,
        router=fields["router"] or None,
        text=fields["text"] or None,
        status=fields["status"],
        since=_time("since", times["since"]),
        until=_time("until", times["until"]),
    )
    after = _place(visit.query("after"))
    found = await visit.parts.log.ask(lambda reader: reader.find(wanted, after, _AT_ONCE))
    access = visit.parts.access
    return visit.render(
        "decisions.html",
        fields=fields | times,
        statuses=STATUSES,
        models=visit.parts.models,
        names=access.key_names if visit.sees_all else {},
        rows=[_in_list(row) for row in found.rows],
        next=found.next and f"{found.next.created_at.isoformat()}~{found.next.decision_id}",
        next_time=found.next and found.next.created_at,
        is_cut=found.is_cut,
        searched=SEARCHED,
        is_first=after is None,
        query={name: value for name, value in (fields | times).items() if value},
    )


async def show(visit: Visit) -> Response:
    """Show one decision."""
    record = await visit.decision()
    calls, judgements = await visit.parts.log.ask(lambda reader: reader.belonging(record.decision_id))
    points, bars = _points(record), _bars(record, calls)
    return visit.render(
        "decision.html",
        record=record,
        prompt=_readable(record.messages),
        candidates=record.candidates,
        calls=calls,
        judgements=judgements,
        pictures=await asyncio.to_thread(of_decision, points, bars),
        may_judge=not _GIVES.isdisjoint(visit.caller.roles),
        given=visit.query("given") == "1",
        key_name=visit.parts.access.key_name(record.key_id or ""),
    )


async def judge(visit: Visit) -> Response:
    """Take a judgement of a decision's answer, as ``POST /v1/feedback`` does."""
    record = await visit.decision()
    visit.parts.access.count_feedback(visit.caller)
    form = visit.form
    given: dict[str, Any] = {"decision_id": record.decision_id, "source": form.get("source") or "user"}
    if form.get("score"):
        try:
            given["score"] = float(form["score"])
        except ValueError:
            raise InvalidRequestError(f"score is {form['score'][:32]!r}; expected a number from 0 to 1") from None
    elif form.get("thumb"):
        given["thumb"] = form["thumb"]
    else:
        raise InvalidRequestError(
            "no judgement was given; say whether the answer was good, or give a score from 0 to 1"
        )
    if form.get("comment"):
        given["comment"] = form["comment"]
    request = validated(FeedbackRequest, given)
    await take_feedback(visit.parts, visit.caller, request, f"fb_{secrets.token_hex(16)}")
    return visit.redirect(f"{HOME}/decisions/{record.decision_id}", given="1")


def _in_list(row: Row) -> dict[str, Any]:
    """Return a decision of the list with what was predicted of the chosen model."""
    columns: Mapping[str, Sequence[Any]] = row["candidates"] or {}
    models = list(columns.get("model") or ())
    place = models.index(row["model"]) if row["model"] in models else None

    def of(name: str) -> Any:
        values = columns.get(name)
        return None if place is None or not values else values[place]

    return {**row, "p_success": of("p_success"), "cost_usd": of("expected_cost_usd"), "n_candidates": len(models)}


def _points(record: DecisionRecord) -> list[CostPoint]:
    return [
        CostPoint(
            one.model,
            one.expected_cost_usd,
            one.p_success,
            one.p_low,
            one.p_high,
            "chosen" if one.model == record.model else "candidate",
            needed=one.model == record.model,
        )
        for one in record.candidates
        if one.p_success is not None and one.expected_cost_usd is not None
    ]


def _bars(record: DecisionRecord, calls: Sequence[Row]) -> list[Attempt]:
    """Return the calls as bars of a timeline that begins with the decision; those without a duration are left out."""
    bars = []
    for call in calls:
        if call["latency_s"] is None:
            continue
        start = max((call["created_at"] - record.created_at).total_seconds(), 0.0)
        first = None if call["first_token_s"] is None else start + call["first_token_s"]
        name = call["model"] or call["provider"] or "a call"
        ending: Ending = "answered" if call["error_type"] is None else "failed"
        bars.append(Attempt(name, start, start + call["latency_s"], ending, first, call["error_type"] or ""))
    return bars


def _readable(messages: str | None) -> list[tuple[str, str]]:
    """Return what was kept of a prompt as roles and texts; parts that are no text as JSON."""
    if messages is None:
        return []
    try:
        content = orjson.loads(messages)
    except orjson.JSONDecodeError:
        return [("prompt", messages[:_SHOWN_CHARS])]
    if not isinstance(content, list):
        return [("prompt", _text(content))]
    shown: list[tuple[str, str]] = []
    left = _SHOWN_CHARS
    for place, one in enumerate(content):
        role, said = (str(one.get("role", "message")), one.get("content", one)) if isinstance(one, dict) else ("", one)
        text = _text(said)[:left]
        shown.append((role, text))
        left -= max(len(text), _LEAST_CHARS)
        if left <= 0:
            shown.append(("", f"… and {counted(len(content) - place - 1, 'message')} more"))
            break
    return shown


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content[:_SHOWN_CHARS]
    if isinstance(content, list):
        texts = [
            one["text"] if isinstance(one, dict) and isinstance(one.get("text"), str) else _text(one) for one in content
        ]
        return "\n".join(texts)[:_SHOWN_CHARS]
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()[:_SHOWN_CHARS]


def _time(name: str, text: str) -> datetime | None:
    """Read a time as browsers send it, in UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # in UTC some times are before the year 1, or after 9999
        raise InvalidRequestError(f"{name} is {text[:32]!r}; expected a time such as 2026-11-30T09:00 (UTC)") from None


def _place(text: str) -> Place | None:
    if not text:
        return None
    time, _, decision_id = text.partition("~")
    found = _time("after", time)
    return None if found is None else Place(found, decision_id[:_LONGEST])


def _segment(decision_id: str) -> str:
    """Return an id as a part of a path; what is no id leads to a page that is not there."""
    return (
        decision_id if decision_id.replace("_", "").replace("-", "").isalnum() and decision_id.isascii() else "unknown"
    )


PAGES: Final = (
    Page("/decisions", find, "Decisions"),
    Page("/decisions/{decision_id}", show),
    Page("/decisions/{decision_id}/feedback", judge, method="POST", roles=_GIVES),
)
