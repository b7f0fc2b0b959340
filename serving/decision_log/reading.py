"""Answer the console's questions from the database of the log, in a time that does not grow with the log.

Hours that are over are read as summaries (`router_model.serving.decision_log.rolled_hours`). The last one or two are
read record by record, and their minutes are remembered for a while. A search looks at so many records at most, and says
where it stopped.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.database_errors import database_failures
from router_model.serving.decision_log.days import DAY, day_of, near, near_all, shifted
from router_model.serving.decision_log.log_records import ANY
from router_model.serving.decision_log.rolled_hours import (
    HOUR,
    claim,
    hours_done,
    keep,
    next_hour,
    read_hours,
    rolled_until,
)
from router_model.serving.decision_log.rows import Kind, Row
from router_model.serving.decision_log.store import SEARCHED, Found, Period, Place, Summaries, Wanted
from router_model.serving.decision_log.summaries import (
    ALL,
    QUALITY,
    AttemptRow,
    DecisionRow,
    FeedbackRow,
    Tree,
    added,
    summarise,
)
from router_model.serving.decision_log.tables import TABLES

MINUTE: Final = timedelta(minutes=1)
HALF_DAY: Final = DAY / 2
_LONG: Final = timedelta(days=8)
_MOST_PARTS: Final = 250
"""Half days whose sums are kept in memory: a month of some keys. One takes about a tenth of a megabyte."""
_FRESH_S: Final = 4.0
_MOST_MINUTES: Final = 240
_AT_ONCE: Final = 500
_FIRST_WINDOW: Final = 500
_SLACK: Final = timedelta(minutes=5)
"""For clocks of several machines that differ."""
_REPORTED_WITHIN: Final = timedelta(days=1)
_JUDGED_WITHIN: Final = 7 * DAY
"""A judgement that names an answer is placed in sums for so long: its call has to be looked for in every day."""
_MINUTES_AHEAD: Final = 5
"""Minutes that are read in one go in the background."""

Connecting = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlReader:
    """Reads the log for the console; used from the log's event loop.

    Parameters
    ----------
    reading, writing : open a connection; that of `writing` is in a transaction
    """

    def __init__(self, reading: Connecting, writing: Connecting) -> None:
        self._reading = reading
        self._writing = writing
        self._minutes: dict[datetime, tuple[datetime, dict[str, Tree]]] = {}
        self._kept_parts: dict[tuple[str, datetime], tuple[dict[datetime, str], Tree]] = {}

    async def summaries(self, since: datetime, *, key: str = ALL, now: datetime | None = None) -> Summaries:
        """Return a key's summaries since a time until now: of minutes, of hours or, beyond a week, of half days."""
        now = now or datetime.now(UTC)
        by_minute, is_long = now - since <= HOUR, now - since > _LONG
        since = since.replace(second=0, microsecond=0)
        hours: list[tuple[datetime, Tree]] = []
        n_missing = 0
        recent = since
        if not by_minute:
            since, recent = _half_day(since) if is_long else since.replace(minute=0), rolled_until(now)
            with database_failures("read"):
                async with self._reading() as connection:
                    known, n_missing = await hours_done(connection, since, recent, key)
                    if is_long:
                        hours = await self._half_days(connection, known, key)
                    else:
                        hours = await read_hours(connection, known, key)
        minutes = [(begin, tree[key]) for begin, tree in await self._recent(recent, now) if key in tree]
        return Summaries(since, now, hours + minutes, n_missing)

    async def _half_days(
        self, connection: AsyncConnection, known: Mapping[datetime, str], key: str
    ) -> list[tuple[datetime, Tree]]:
        """Return the sums of hours by half days; those of earlier questions are taken if no hour was summed up anew."""
        parts: dict[datetime, dict[datetime, str]] = {}
        for hour in sorted(known):
            parts.setdefault(_half_day(hour), {})[hour] = known[hour]
        kept = {begin: self._kept_parts.get((key, begin)) for begin in parts}
        sums = {begin: one[1] for begin, one in kept.items() if one is not None and one[0] == parts[begin]}
        stale = [begin for begin in parts if begin not in sums]
        for hour, tree in await read_hours(connection, [hour for begin in stale for hour in parts[begin]], key):
            added(sums.setdefault(_half_day(hour), {}), tree)
        for begin in stale:
            self._kept_parts[key, begin] = parts[begin], sums.setdefault(begin, {})
        for oldest in [*self._kept_parts][:-_MOST_PARTS]:
            del self._kept_parts[oldest]
        return sorted(sums.items(), key=lambda one: one[0])

    async def roll_next(self, *, now: datetime | None = None) -> bool:
        """Sum up the newest hour that is over; False if none is left."""
        now = now or datetime.now(UTC)
        with database_failures("sum up an hour of"):
            async with self._reading() as connection:
                hour = await next_hour(connection, now)
            if hour is None:
                return False
            async with self._writing() as connection:
                claimed = await claim(connection, hour)
            by_key = await self._summed(hour, hour + HOUR)
            async with self._writing() as connection:
                await keep(connection, hour, claimed, by_key)
        return True

    async def refresh(self, *, now: datetime | None = None) -> bool:
        """Read some of the last minutes ahead of who looks at them, the newest first; False if none needs it."""
        now = now or datetime.now(UTC)
        begin = now.replace(second=0, microsecond=0)
        oldest = min(rolled_until(now), begin - HOUR)
        while begin >= oldest:
            if not self._is_fresh(begin, now):
                first = max(begin - (_MINUTES_AHEAD - 1) * MINUTE, oldest)
                await self._read_minutes(first, begin, now)
                return True
            begin -= MINUTE
        return False

    async def find(self, wanted: Wanted, after: Place | None, most: int) -> Found:
        """Return the newest decisions that are wanted, after a place in the list.

        Looks at ever larger windows, so that what is frequent is found in the first one, and what is rare in few
        statements.
        """
        found: list[Place] = []
        end, n_looked = after, 0
        with database_failures("read"):
            async with self._reading() as connection:
                while n_looked < SEARCHED and (end is not None or not n_looked):
                    size = min(max(_FIRST_WINDOW, 4 * n_looked), SEARCHED - n_looked)
                    window = _window(wanted, end, size)
                    last = (await connection.execute(_last(window, size))).first()
                    times = Period(wanted.since if last is None else last[0], wanted.until if end is None else end[0])
                    matching = _matching(wanted, window, times, most + 1 - len(found))
                    found += [Place(*row) for row in await connection.execute(matching)]
                    if len(found) > most:
                        return Found(await _shown(connection, found[:most]), found[most - 1], is_cut=False)
                    end = None if last is None else Place(*last)
                    n_looked += size
                return Found(await _shown(connection, found), end, is_cut=end is not None)

    async def belonging(self, decision_id: str) -> tuple[list[Row], list[Row]]:
        """Return the calls of a decision and what was said of its answer, oldest first."""
        found: list[list[Row]] = []
        times = near(decision_id)
        with database_failures("read"):
            async with self._reading() as connection:
                calls = TABLES[Kind.ATTEMPT].c
                for kind in (Kind.ATTEMPT, Kind.FEEDBACK):
                    table = TABLES[kind]
                    own = [table.c.decision_id == decision_id]
                    if kind is Kind.FEEDBACK:
                        answers = [row["response_id"] for row in found[0]]
                        of_call = exists().where(calls.decision_id == decision_id, _is_of_answer(table.c, calls))
                        own = [or_(own[0], and_(table.c.response_id.in_(answers), of_call))]
                    if times is not None:  # they are not older, and partitions that are need not be looked into
                        own.append(table.c.created_at >= times[0])
                    chosen = select(table).where(*own).order_by(table.c.created_at).limit(_AT_ONCE)
                    found.append([dict(row) for row in (await connection.execute(chosen)).mappings()])
        return found[0], found[1]

    async def _recent(self, since: datetime, now: datetime) -> list[tuple[datetime, dict[str, Tree]]]:
        """Return the summaries of minutes, read anew where calls may have ended since they were read."""
        begins = [since + n * MINUTE for n in range(int((now - since) / MINUTE) + 1)]
        stale = [begin for begin in begins if not self._is_fresh(begin, now)]
        for first, last in _runs(stale):
            await self._read_minutes(first, last, now)
        return [(begin, self._minutes[begin][1]) for begin in begins if begin in self._minutes]

    def _is_fresh(self, begin: datetime, now: datetime) -> bool:
        """Tell whether a minute need not be read again: what was over for long when it was read holds for long."""
        kept = self._minutes.get(begin)
        if kept is None:
            return False
        age_s = (kept[0] - begin - MINUTE).total_seconds()
        return (now - kept[0]).total_seconds() < max(_FRESH_S, age_s / 2)

    async def _read_minutes(self, first: datetime, last: datetime, now: datetime) -> None:
        with database_failures("read"):
            records = await self._records(first, last + MINUTE)
        split: dict[datetime, tuple[list[Any], list[Any], list[Any]]] = {}
        kinds: tuple[Sequence[DecisionRow | AttemptRow | FeedbackRow], ...] = records
        for place, rows in enumerate(kinds):
            for row in rows:
                begin = row.created_at.replace(second=0, microsecond=0)
                split.setdefault(begin, ([], [], []))[place].append(row)
        begin = first
        while begin <= last:
            self._minutes[begin] = now, summarise(*split.get(begin, ([], [], [])))
            begin += MINUTE
            await asyncio.sleep(0)  # writing shares this event loop, and gets its turn
        for oldest in sorted(self._minutes)[:-_MOST_MINUTES]:
            self._minutes.pop(oldest, None)

    async def _summed(self, since: datetime, until: datetime) -> dict[str, Tree]:
        records = await self._records(since, until)
        # In a thread: it may take a second, and the log's event loop has to write meanwhile.
        return await asyncio.to_thread(summarise, *records)

    async def _records(
        self, since: datetime, until: datetime
    ) -> tuple[list[DecisionRow], list[AttemptRow], list[FeedbackRow]]:
        async with self._reading() as connection:
            return (
                [DecisionRow(*row) async for row in _streamed(connection, Kind.DECISION, DecisionRow, since, until)],
                [AttemptRow(*row) async for row in _streamed(connection, Kind.ATTEMPT, AttemptRow, since, until)],
                await _judgements(connection, since, until),
            )


_SHOWN_FIELDS: Final = (
    *("decision_id", "created_at", "model", "reason", "key_id", "session_id", "surface", "quality_bar"),
    *("explored", "degraded", "candidates", "turn_type", "router"),
)
_COMPARED: Final = ("key_id", "model", "reason", "session_id")


def _window(wanted: Wanted, after: Place | None, size: int) -> Any:
    """Return the next decisions of the list, as a subquery, with what is compared of them."""
    decisions = TABLES[Kind.DECISION].c
    seen: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        seen.append(decisions.created_at >= wanted.since)
    if wanted.until is not None:
        seen.append(decisions.created_at < wanted.until)
    if after is not None:
        time = literal(after.created_at, decisions.created_at.type)
        place = tuple_(time, literal(after.decision_id, decisions.decision_id.type))
        # The time alone, too: partitions are left out by it, and not by a pair of values.
        seen += [tuple_(decisions.created_at, decisions.decision_id) < place, decisions.created_at <= time]
    # Prompts and candidates are nine tenths of a log, so only what is compared is read.
    needed = {"decision_id", "created_at", *(name for name in _COMPARED if getattr(wanted, name))}
    needed |= {"router"} if wanted.router else set()
    needed |= {wanted.status} & {"degraded", "explored"} | ({"messages"} if wanted.text else set())
    chosen = select(*(decisions[name] for name in sorted(needed))).where(*seen)
    return chosen.order_by(*_newest_first(decisions)).limit(size).subquery()


def _matching(wanted: Wanted, window: Any, times: Period, most: int) -> Select[Any]:
    """Return the places in a window that are wanted; the window is of these times."""
    chosen = select(window.c.created_at, window.c.decision_id).where(*_conditions(wanted, window.c, times))
    return chosen.order_by(*_newest_first(window.c)).limit(most)


def _last(window: Any, size: int) -> Select[Any]:
    """Return the place of a window's last decision; no row if it is not full."""
    chosen = select(window.c.created_at, window.c.decision_id)
    return chosen.order_by(*_newest_first(window.c)).offset(size - 1).limit(1)


def _newest_first(columns: Any) -> tuple[Any, Any]:
    return columns.created_at.desc(), columns.decision_id.desc()


async def _shown(connection: AsyncConnection, places: Sequence[Place]) -> list[Row]:
    """Return what is shown of decisions."""
    if not places:
        return []
    decisions = TABLES[Kind.DECISION].c
    times = (min(one.created_at for one in places), max(one.created_at for one in places))
    these = (decisions.decision_id.in_([one.decision_id for one in places]), decisions.created_at.between(*times))
    chosen = select(*(decisions[name] for name in _SHOWN_FIELDS)).where(*these).order_by(*_newest_first(decisions))
    return [dict(row) for row in (await connection.execute(chosen)).mappings()]


def _conditions(wanted: Wanted, row: Any, times: Period) -> list[ColumnElement[bool]]:
    """Return what a decision has to be, over the columns of the records that are looked at."""
    equal = {name: getattr(wanted, name) for name in _COMPARED if getattr(wanted, name)}
    found: list[ColumnElement[bool]] = [row[name] == value for name, value in equal.items()]
    if wanted.router:
        found.append(func.coalesce(row.router, DEFAULT_ROUTER) == wanted.router)
    if wanted.text:
        found.append(row.messages.icontains(wanted.text, autoescape=True))
    calls, judged = TABLES[Kind.ATTEMPT].c, TABLES[Kind.FEEDBACK].c
    # The times leave partitions out. Calls are reported within a day; judgements may come whenever they like.
    of_row = [calls.decision_id == row.decision_id, *_around(calls, times, latest=True)]
    called = exists().where(*of_row)
    answered = exists().where(*of_row, calls.error_type.is_(None))
    by_status = {
        "answered": answered,
        "failed": and_(called, ~answered),
        "uncalled": ~called,
        "judged": or_(
            exists().where(judged.decision_id == row.decision_id, *_around(judged, times, latest=False)),
            exists().where(*of_row, _is_of_answer(judged, calls), *_around(judged, times, latest=False)),
        ),
    }
    if wanted.status in by_status:
        found.append(by_status[wanted.status])
    elif wanted.status:
        found.append(row[wanted.status].is_(True))
    return found


def _around(columns: Any, times: Period, *, latest: bool) -> list[ColumnElement[bool]]:
    """Return that a record may belong to a decision of some time."""
    found = []
    if times.since is not None:
        found.append(columns.created_at >= shifted(times.since, -_SLACK))
    if latest and times.until is not None:
        found.append(columns.created_at <= shifted(times.until, _REPORTED_WITHIN))
    return found


async def _streamed(
    connection: AsyncConnection, kind: Kind, shape: type[DecisionRow | AttemptRow], since: datetime, until: datetime
) -> AsyncIterator[Any]:
    table = TABLES[kind]
    chosen = select(*(table.c[name] for name in shape._fields)).where(*_within(table, since, until))
    if kind is Kind.ATTEMPT:
        chosen = chosen.where(_counts(since, until))
    async for row in await connection.stream(chosen, execution_options={"yield_per": _AT_ONCE}):
        yield row


def _counts(since: datetime, until: datetime) -> ColumnElement[bool]:
    """Return that a call was made here, or that a report is not of such a call: what was measured here counts."""
    table = TABLES[Kind.ATTEMPT]
    measured = table.alias("measured").c
    made_about_then = measured.created_at.between(shifted(since, -_REPORTED_WITHIN), shifted(until, _SLACK))

    def is_measured(name: str) -> ColumnElement[bool]:
        return exists().where(measured.authority.is_(None), measured[name] == table.c[name], made_about_then)

    return or_(table.c.authority.is_(None), ~or_(is_measured("decision_id"), is_measured("response_id")))


def _is_of_answer(judged: Any, calls: Any) -> ColumnElement[bool]:
    """Return that a judgement names the answer of a call that was made here, and that its sender may judge it."""
    may_speak = or_(judged.key_id == calls.key_id, judged.authority == ANY)
    return and_(
        judged.decision_id.is_(None), judged.response_id == calls.response_id, calls.authority.is_(None), may_speak
    )


async def _judgements(connection: AsyncConnection, since: datetime, until: datetime) -> list[FeedbackRow]:
    """Return the judgements of a period with what they are about.

    A join would look for each decision in all partitions, or read all decisions; the ids say where they are.
    """
    feedback, decisions = TABLES[Kind.FEEDBACK], TABLES[Kind.DECISION].c
    chosen = select(feedback.c.feedback_id, feedback.c.created_at, feedback.c.score, feedback.c.decision_id)
    in_time = (*_within(feedback, since, until), feedback.c.metric == QUALITY)
    given = (await connection.execute(chosen.where(*in_time))).all()
    calls = TABLES[Kind.ATTEMPT].c
    of_answers = select(feedback.c.feedback_id, calls.decision_id).where(
        *in_time,
        _is_of_answer(feedback.c, calls),
        calls.created_at.between(shifted(since, -_JUDGED_WITHIN), shifted(until, _SLACK)),
    )
    by_answer = {row.feedback_id: row.decision_id for row in await connection.execute(of_answers)}
    judgements = [(when, score, of or by_answer.get(one)) for one, when, score, of in given]
    ids = sorted({decision_id for *_, decision_id in judgements if decision_id is not None})
    about: dict[str | None, Sequence[Any]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        times = near_all(some)
        these = [decisions.decision_id.in_(some)] + ([] if times is None else [decisions.created_at.between(*times)])
        found = select(
            decisions.decision_id, decisions.quality_bar, decisions.model, decisions.key_id, decisions.router
        ).where(*these)
        about |= {decision_id: facts for decision_id, *facts in await connection.execute(found)}
    return [FeedbackRow(when, score, *about.get(of, (None, None, None, None))) for when, score, of in judgements]


def _within(table: Any, since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    return [table.c.created_at >= since, table.c.created_at < until]


def _half_day(when: datetime) -> datetime:
    """Return the beginning of the half day (UTC) that a time is in.

    >>> _half_day(datetime(2026, 1, 1, 13, 5, tzinfo=UTC)).hour
    12
    """
    begin = day_of(when)
    return begin if when < begin + HALF_DAY else begin + HALF_DAY


def _runs(minutes: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the first and the last of each run of minutes without a gap.

    >>> at = [datetime(2026, 1, 1, 0, minute) for minute in (1, 2, 5)]
    >>> [(first.minute, last.minute) for first, last in _runs(at)]
    [(1, 2), (5, 5)]
    """
    runs: list[tuple[datetime, datetime]] = []
    for minute in minutes:
        if runs and minute - runs[-1][1] == MINUTE:
            runs[-1] = runs[-1][0], minute
        else:
            runs.append((minute, minute))
    return runs
