"""One fault after the other: break it, wait for its alerts, mend it, wait until all is well."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import httpx2
from dashboard import ALERTS, LEGENDS, QUERIES
from faults import Fault
from load import Answer, Load
from row import OF_A_BUSY_MACHINE, SLOW_S, Row
from stack import Stack
from supervised import WORKERS

CALM_S: Final = 1.5
"""For so long every request must have been answered well."""
ALERT_LIMIT_S: Final = 30.0
WELL_LIMIT_S: Final = 45.0
HAS_NO_DATA: Final = frozenset({
    *("Left of budgets", "Calls that budgets refused", "Levels shifted by feedback", "Age of prices"),
    "Challenger and canary",
})  # fmt: skip
"""Panels that are empty until a key has a budget, feedback shifts a level, prices have dates or a challenger runs."""
_LOOK_S: Final = 0.3
_NOT_NOW: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Drill:
    """Breaks things one after the other, under load."""

    def __init__(self, stack: Stack, load: Load) -> None:
        self._stack = stack
        self._load = load
        self._fired: dict[str, float] = {}
        self._firing: set[str] = set()
        self._written_off: set[str] = set()
        self._n_judged = 0

    def wait_until_seen(self) -> None:
        """Wait until Prometheus has seen the service well: where it first sees a counter at 1, it knows no increase."""
        _wait(self._is_settled)

    def row(self, fault: Fault) -> Row:
        """Break one thing; return what was seen when all was well again, or too late."""
        _wait(lambda: not fault.alerts & self._look())
        began = time.time()
        trouble, struck = [], time.monotonic()
        broke = struck
        try:
            with fault.strike(self._stack) as moment:
                broke = moment or struck
                self._hold(fault, struck, began)
            mended = time.monotonic()
            _wait(self._stack.service.is_ready)
            listened = time.monotonic()
            missing, well = self._until_well(fault, struck, broke, listened)
        except AssertionError as exc:
            mended = listened = time.monotonic()
            trouble, missing, well = [str(exc)], {}, math.inf
        ended = time.monotonic()
        self._written_off |= missing.keys()
        answers = self._not_judged()
        return Row(
            fault, ended - struck, struck, broke, listened, well - mended, answers, missing,
            self._fired_since(began), (*trouble, *self._waits(answers)),
        )  # fmt: skip

    def rest(self) -> list[str]:
        """Judge the answers since the last row as those of a time without a fault; the load has to have ended."""
        _wait(lambda: not self._missing())
        answers, n = self._not_judged(), len(self._load.under_way)
        trouble = (*self._waits(answers), *([f"{n} requests had no end"] if n else []))
        calm = Fault("the end", lambda _: contextlib.nullcontext())
        return Row(calm, well_after_s=0.0, answers=answers, missing=self._missing(), trouble=trouble).broken()

    def wait_until_silent(self) -> list[str]:
        """Wait until no alert fires; say which ones still do."""
        _wait(lambda: self._look() <= OF_A_BUSY_MACHINE)
        return [f"{name} went on" for name in sorted(self._look() - OF_A_BUSY_MACHINE)]

    def unseen(self) -> list[str]:
        """Say which alerts a Prometheus cannot evaluate, and which panels of the dashboard it has no data for."""
        rules = self._stack.scraping.ask("rules")["groups"][0]["rules"]
        healthy = [rule["name"] for rule in rules if rule["health"] == "ok"]
        ill = [f"{one['alert']} cannot be evaluated" for one in ALERTS if one["alert"] not in healthy]
        shown, blank = set(), []
        for title, query in sorted(QUERIES):
            series = self._stack.scraping.ask("query", query=query)["result"]
            if series:
                shown.add(title)
                labels = {label for one in series for label in one["metric"]}
                blank += [f"the legend of '{title}' names {label}" for label in sorted(LEGENDS[query] - labels)]
        empty = {title for title, _ in QUERIES} - shown - HAS_NO_DATA
        return [*ill, *blank, *(f"the dashboard's '{title}' is empty" for title in sorted(empty))]

    def _hold(self, fault: Fault, struck: float, began: float) -> None:
        """Let a fault last until its alerts have fired, and for as long as it says."""
        ends = struck + fault.seconds

        def is_over() -> bool:
            self._look()
            return time.monotonic() >= ends and fault.alerts <= self._fired_since(began)

        _wait(is_over, limit_s=ALERT_LIMIT_S)

    def _until_well(self, fault: Fault, struck: float, broke: float, listened: float) -> tuple[dict[str, float], float]:
        """Wait until all is well; return the decisions that are missing in the log, and when it was."""
        until = time.monotonic() + WELL_LIMIT_S
        while True:
            self._look()
            missing = self._missing()
            is_kept = all(fault.may_lose(one, struck_s=struck, broken_s=broke) for one in missing.values())
            # What was sent before is judged by what this fault excuses, so it has to end in this row.
            is_over = min(self._load.under_way.copy(), default=math.inf) > listened
            if is_kept and is_over and self._is_calm() and self._is_settled():
                return missing, time.monotonic()
            if time.monotonic() > until:
                return missing, math.inf
            time.sleep(_LOOK_S)

    def _waits(self, answers: Sequence[Answer]) -> Iterator[str]:
        """Say of callers who waited too long what they waited for."""
        slow = [one for one in answers if one.ended_s - one.sent_s > SLOW_S and one.status]
        for one in slow[:5]:
            yield f"{one.kind} took {one.ended_s - one.sent_s:.1f} s: {self._calls(one)}"

    def _calls(self, one: Answer) -> str:
        """Say what the log knows of an answer's calls."""
        if not one.decision_id:
            return "no decision"
        try:
            return self._stack.attempts(one.decision_id)
        except _NOT_NOW as exc:
            return f"the log cannot be read ({type(exc).__name__})"

    def _not_judged(self) -> list[Answer]:
        """Return the answers that came since this was last asked."""
        answers = self._load.answers[self._n_judged :]
        self._n_judged += len(answers)
        return answers

    def _missing(self) -> dict[str, float]:
        """Return the decisions that callers have an id of and the log has not, with the time of their answers."""
        answered = {one.decision_id: one.ended_s for one in self._load.answers.copy() if one.decision_id}
        looked_for = answered.keys() - self._written_off
        with contextlib.suppress(*_NOT_NOW):
            looked_for = self._stack.missing(looked_for)
        return {one: answered[one] for one in looked_for}

    def _is_calm(self) -> bool:
        recent = self._load.sent_since(time.monotonic() - CALM_S)
        return len(recent) > CALM_S * 4 and all(one.is_well for one in recent)

    def _is_settled(self) -> bool:
        """Tell whether metrics say that nothing is under way any more."""
        ask = self._stack.scraping.values
        # A breaker that is half open waits for a call, which comes when the other provider fails.
        waiting = (
            "sum(router_log_spool_depth) + sum(router_log_unavailable) + (sum(router_breaker_state > 1) or vector(0))"
        )
        with contextlib.suppress(httpx2.HTTPError):
            return ask(waiting) == [0.0] and ask("up") == [1.0] and len(self._stack.service.workers) == WORKERS
        return False

    def _look(self) -> set[str]:
        """Take note of the alerts that fire now, and since when; return them, or where nobody says it the last ones."""
        try:
            alerts = self._stack.scraping.ask("alerts")["alerts"]
        except httpx2.HTTPError:  # a busy machine; it is asked again soon
            return self._firing
        firing = [one for one in alerts if one["state"] == "firing"]
        for one in firing:
            since = datetime.fromisoformat(one["activeAt"]).timestamp()
            name = one["labels"]["alertname"]
            self._fired[name] = max(since, self._fired.get(name, 0.0))
        self._firing = {one["labels"]["alertname"] for one in firing}
        return self._firing

    def _fired_since(self, began: float) -> frozenset[str]:
        return frozenset(name for name, since in self._fired.items() if since >= began)


def _wait(check: Callable[[], bool], *, limit_s: float = WELL_LIMIT_S) -> None:
    """Return as soon as something is so, or too late."""
    until = time.monotonic() + limit_s
    while not check() and time.monotonic() < until:
        time.sleep(_LOOK_S)
