"""Fill a decision log with plausible traffic: ``fill_log.py postgresql://… --decisions 10000000``.

Decisions come over some days up to now, more of them at noon than at night, in conversations of four turns. Each has
one or two calls, some have feedback, and half of them their prompt. Rows are made of real records by the service's
own `row_of` and `Insertion`, so that their values are what the writer writes; there are `_SHAPES` of them, and all
others repeat their prompts and predictions with ids, times, keys and costs of their own. Writes by COPY into
PostgreSQL and by executemany into SQLite. With ``--copies`` the last days alone are made, and the database copies them
to earlier times with other ids, which takes a fraction of the time.
"""

import argparse
import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from router_model.serving.decision_log.log_records import AttemptRecord, DecisionRecord, FeedbackRecord, LoggedCandidate
from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.partitions import make_days
from router_model.serving.decision_log.rows import Kind, row_of
from router_model.serving.decision_log.tables import TABLES, Insertion

MODELS = {"small": 0.0004, "coder": 0.002, "large": 0.012, "other": 0.006}
KEYS = [f"key{n:09d}" for n in range(20)]
KINDS = (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK)
DAYS = 40
_SHAPES = 2000
_AT_ONCE = 20_000
_FAILED, _JUDGED, _WITH_TEXT, _WITH_TOOLS = 0.02, 0.1, 0.5, 0.1


class Traffic:
    """Made-up traffic, the same for the same seed and time.

    Parameters
    ----------
    n : decisions
    days : over which they come
    now : when they end
    copies : how often the last part of the time is repeated; it must be of whole days
    """

    def __init__(
        self, n: int, *, days: float = DAYS, seed: int = 0, now: datetime | None = None, copies: int = 1
    ) -> None:
        self.n_decisions, self.copies, self.seed = n, copies, seed
        self.n, self.days = n // copies, days / copies
        self.now = now or datetime.now(UTC)
        self.began = self.now - timedelta(days=self.days)

    def batches(self, dialect) -> Iterator[dict[Kind, list[tuple]]]:
        """Yield parameters of rows, in the order of `columns_of`, some thousand decisions at a time."""
        rng = np.random.default_rng(self.seed)
        make = _Rows(dialect, self.seed)
        times = self._times()
        for start in range(0, self.n, _AT_ONCE):
            stop = min(start + _AT_ONCE, self.n)
            yield make.rows(start, times[start:stop], rng)

    def _times(self) -> np.ndarray:
        """Return seconds since 1970, sorted; the rate is twice as high at noon (UTC) as at midnight."""
        seconds = self.days * 86400
        grid = np.linspace(0, seconds, int(self.days * 48) + 2)
        of_day = (self.began.timestamp() + grid) % 86400 / 86400
        rate = 1.5 - 0.5 * np.cos(2 * np.pi * of_day)
        whole = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(grid))])
        drawn = np.sort(np.random.default_rng(self.seed + 1).random(self.n)) * whole[-1]
        return self.began.timestamp() + np.interp(drawn, whole, grid)


def columns_of(kind: Kind, dialect) -> tuple[str, ...]:
    """Return the columns of the parameters."""
    return Insertion(kind, dialect)._names


class _Rows:
    def __init__(self, dialect, seed: int) -> None:
        self._is_sqlite = dialect.name == "sqlite"
        self._inserts = {kind: Insertion(kind, dialect) for kind in KINDS}
        self._places = {kind: {name: i for i, name in enumerate(self._inserts[kind]._names)} for kind in KINDS}
        rng = random.Random(seed)
        self._shapes = [self._shape(rng) for _ in range(_SHAPES)]

    def rows(self, first: int, times: np.ndarray, rng: np.random.Generator) -> dict[Kind, list[tuple]]:
        found: dict[Kind, list[tuple]] = {kind: [] for kind in KINDS}
        n = len(times)
        shapes, keys = rng.integers(_SHAPES, size=n), rng.integers(len(KEYS), size=n)
        chance, judged, spread = rng.random(n), rng.random(n), rng.uniform(0.7, 1.4, n)
        waits = rng.exponential(3600, n)
        for i in range(n):
            number = first + i
            decision, call, second, judgement, p_success = self._shapes[shapes[i]]
            key = KEYS[keys[i]]
            decision_id = f"dec_{int(times[i] * 1000):012x}7000{number:016x}"
            when, called = self._time(times[i]), self._time(times[i] + 0.004)
            # Eight conversations at a time, of four turns each.
            session = f"session-000-{number % 8 + 8 * (number // 32)}"
            own = {"decision_id": decision_id, "created_at": when, "key_id": key, "session_id": session,
                   "user_id": f"user-{(number // 32) % 5000}", "explored": bool(chance[i] > 0.95)}  # fmt: skip
            found[Kind.DECISION].append(self._with(Kind.DECISION, decision, own))
            own = {"attempt_id": f"att_000{number:029x}", "decision_id": decision_id, "created_at": called,
                   "key_id": key, "response_id": f"chatcmpl-000{number:021x}"}  # fmt: skip
            if chance[i] < _FAILED:
                failed = own | {"status": 503, "error_type": "overloaded", "cost_usd": None, "response_id": None}
                found[Kind.ATTEMPT].append(self._with(Kind.ATTEMPT, call, failed))
                if chance[i] < _FAILED * 0.9:
                    own |= {"attempt_id": f"at2_000{number:029x}", "created_at": self._time(times[i] + 1.0)}
                    found[Kind.ATTEMPT].append(self._with(Kind.ATTEMPT, second, own, costing=spread[i]))
            else:
                found[Kind.ATTEMPT].append(self._with(Kind.ATTEMPT, call, own, costing=spread[i]))
            if judged[i] < _JUDGED:
                score = float(judged[i] < _JUDGED * p_success)
                own = {"feedback_id": f"fb_000{number:029x}", "created_at": self._time(times[i] + waits[i]),
                       "decision_id": decision_id, "key_id": key, "score": score}  # fmt: skip
                found[Kind.FEEDBACK].append(self._with(Kind.FEEDBACK, judgement, own))
        return found

    def _time(self, seconds: float) -> datetime | str:
        when = datetime.fromtimestamp(seconds, UTC)
        return when.replace(tzinfo=None).isoformat(" ", "microseconds") if self._is_sqlite else when

    def _with(self, kind: Kind, row: list, own: dict, *, costing: float | None = None) -> tuple:
        values, places = row.copy(), self._places[kind]
        for name, value in own.items():
            values[places[name]] = value
        if costing is not None:
            for name in ("cost_usd", "latency_s"):
                values[places[name]] = row[places[name]] * costing
        return tuple(values)

    def _shape(self, rng: random.Random) -> tuple:
        """Return what `made_up` does, with rows as parameters."""
        decision, calls, judgement, p_success = made_up(rng)
        return (*map(self._parameters, (decision, *calls, judgement)), p_success)

    def _parameters(self, record) -> list:
        kind, row = row_of(record)
        (values,) = self._inserts[kind].parameters([row])
        return list(values)


def made_up(rng: random.Random) -> tuple[DecisionRecord, list[AttemptRecord], FeedbackRecord, float]:
    """Return a decision, two calls, a judgement, and the chance of success; half of the decisions keep their prompt."""
    chances = {model: min(0.99, rng.betavariate(6, 2) * (0.8 + cost * 8)) for model, cost in MODELS.items()}
    costs = {model: cost * rng.uniform(0.5, 2) for model, cost in MODELS.items()}
    order = sorted(MODELS, key=lambda model: costs[model] - chances[model] * 0.03)
    candidates = tuple(
        LoggedCandidate(
            model, f"provider-{model}", chances[model], max(chances[model] - 0.07, 0),
            min(chances[model] + 0.07, 1), costs[model], 300.0 * rng.uniform(0.5, 2),
            1.0 + costs[model] * 100, chances[model], 0.95 if place == 0 else 0.05 / (len(order) - 1),
        )
        for place, model in enumerate(order)
    )  # fmt: skip
    words = " ".join(rng.choice(_WORDS.split()) for _ in range(max(5, int(rng.lognormvariate(4.2, 0.8)))))
    has_text = rng.random() < _WITH_TEXT
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    n_input = 8 + len(words) // 5
    when = datetime(2026, 1, 1, tzinfo=UTC)
    decision = DecisionRecord(
        "dec_0", when, order[0], "best_tradeoff", candidates, (("tiny", "context_window"),),
        "sha256:" + "ab" * 32, "sha256:" + "cd" * 32, 0.5, None, None, 0.03, None,
        certified=False, explored=False, degraded=rng.random() < 0.001, shadow=False, session_id="", user_id="",
        key_id="", surface="chat", prompt_sha256=f"{rng.getrandbits(256):064x}",
        messages=orjson.dumps([{"role": "user", "content": words}]).decode() if has_text else None,
        n_input_tokens=n_input, decision_s=rng.lognormvariate(-6, 0.4), turn_type="work",
        tools=orjson.dumps(tools).decode() if has_text and rng.random() < _WITH_TOOLS else None,
        max_output_tokens=1024,
    )  # fmt: skip
    calls = [
        AttemptRecord(
            "att_0", "dec_0", when, model, f"provider-{model}", "chatcmpl-0", f"{model}-2026-01", "stop", 200, None,
            n_input, int(rng.lognormvariate(5.5, 0.6)), 0, 0, 0, costs[model], rng.lognormvariate(0, 0.6),
            rng.lognormvariate(-1, 0.5), "",
        )
        for model in order[:2]
    ]  # fmt: skip
    judgement = FeedbackRecord("fb_0", when, "dec_0", None, 1.0, "user", "quality", None, "", "own")
    return decision, calls, judgement, chances[order[0]]


_WORDS = (
    "the of a train number leaves city because function returns list value error user asks how many days between two "
    "dates prime sum integral write poem about autumn translate sentence into French explain why water boils at lower "
    "pressure"
)


async def fill(url: str, traffic: Traffic) -> float:
    """Make the log's tables, write the traffic, and return the seconds that writing took."""
    store = open_store(url)
    await store.open()
    try:
        if store.url.get_backend_name() == "sqlite":
            began = time.monotonic()
            await asyncio.to_thread(_fill_sqlite, store.url.database, traffic)
        else:
            async with store.writing() as connection:
                await make_days(connection, traffic.now - traffic.copies * timedelta(days=traffic.days), traffic.now)
            began = time.monotonic()
            await _fill_postgresql(store.url, traffic)
        return time.monotonic() - began
    finally:
        await store.close()


def _fill_sqlite(path: str, traffic: Traffic) -> None:
    dialect = sqlite.dialect()
    statements = {kind: Insertion(kind, dialect).statement for kind in KINDS}
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -400000")
        for batch in traffic.batches(dialect):
            database.execute("BEGIN IMMEDIATE")
            for kind, rows in batch.items():
                database.executemany(statements[kind], rows)
            database.execute("COMMIT")
        shift_ms = round(traffic.days * 86_400_000)
        database.create_function("moved", 2, lambda made, copy: f"{int(made, 16) - copy * shift_ms:012x}")
        for copy in range(1, traffic.copies):
            time = f"strftime('%Y-%m-%d %H:%M:%S', created_at, '-{copy * traffic.days} days') || substr(created_at, 20)"
            for kind in KINDS:
                database.execute(_copying(kind, copy, time, f"moved(substr(decision_id, 5, 12), {copy})"))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copying(kind: Kind, copy: int, time: str, made: str) -> str:
    """Return the statement that repeats the first part with other ids, which say the copy in three hex digits."""
    table, row_id = TABLES[kind].name, f"{kind.value}_id"
    values = {name: name for name in list(TABLES[kind].c.keys())}
    values["created_at"] = time
    values["decision_id"] = f"'dec_' || {made} || '7{copy:03x}' || substr(decision_id, 21)"
    first = {Kind.DECISION: 18, Kind.ATTEMPT: 5, Kind.FEEDBACK: 4}[kind]
    if kind is not Kind.DECISION:
        values[row_id] = f"substr({row_id}, 1, {first - 1}) || '{copy:03x}' || substr({row_id}, {first + 3})"
    if kind is Kind.DECISION:
        values["session_id"] = f"'session-{copy:03x}-' || substr(session_id, 13)"
    if kind is Kind.ATTEMPT:
        values["response_id"] = f"'chatcmpl-{copy:03x}' || substr(response_id, 13)"
    return (
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {table} "
        f"WHERE substr({row_id}, {first}, 3) = '000'"
    )


async def _fill_postgresql(url, traffic: Traffic) -> None:
    import asyncpg

    dialect = postgresql.asyncpg.dialect()
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        for batch in traffic.batches(dialect):
            for kind, rows in batch.items():
                if rows:
                    table = TABLES[kind].name
                    await connection.copy_records_to_table(table, records=rows, columns=columns_of(kind, dialect))
        for copy in range(1, traffic.copies):
            shift_ms = round(copy * traffic.days * 86_400_000)
            made = f"('x' || lpad(substr(decision_id, 5, 12), 16, '0'))::bit(64)::bigint - {shift_ms}"
            for kind in KINDS:
                time = f"created_at - interval '{shift_ms} milliseconds'"
                await connection.execute(_copying(kind, copy, time, f"lpad(to_hex({made}), 12, '0')"))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def main() -> None:
    """Fill the log at a URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=DAYS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--copies", type=int, default=1, help="Of the last part of the time, which has whole days.")
    options = parser.parse_args()
    traffic = Traffic(options.decisions, days=options.days, seed=options.seed, copies=options.copies)
    seconds = asyncio.run(fill(options.url, traffic))
    rate = options.decisions / seconds
    print(
        f"wrote {options.decisions:,} decisions in {seconds:.0f} s, {rate:,.0f} a second, into {make_url(options.url)}"
    )


if __name__ == "__main__":
    main()
