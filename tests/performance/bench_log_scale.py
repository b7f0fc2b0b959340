"""How long the questions to a large decision log take: ``bench_log_scale.py --decisions 10000000``.

Fills a log (`fill_log.py`) in PostgreSQL of its own, or at ``--url`` (SQLite, too), unless it has decisions already,
and asks what the console's pages, ``log show`` and a key's balance ask. With ``--keep FOLDER`` the server's data stay
in that folder, to be asked again. Each question is asked again and again, with other times and keys: p50 and p95 of the
wall clock, and the processor time of this process and of its connections to PostgreSQL. Others who use the machine slow
the wall clock, and not the processor time; the load is printed.
"""

import argparse
import asyncio
import os
import random
import re
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fill_log import KEYS, Traffic, fill
from postgres_server import PostgresServer, server_programs

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.reading import SqlReader
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.store import Place, Wanted

PERIODS = {"5 minutes": 5 / 60, "1 hour": 1, "24 hours": 24, "7 days": 168, "30 days": 720}


def main() -> None:
    """Fill a log, and time the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="Of the log; without it PostgreSQL is started by itself.")
    parser.add_argument("--keep", help="Folder for the data of PostgreSQL; those that are there are asked again.")
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=40)
    parser.add_argument("--copies", type=int, default=1, help="As of fill_log.py.")
    parser.add_argument("--hours", type=int, default=10**6, help="Sum up so many hours at most.")
    parser.add_argument("--only", default="", help="Questions whose names this pattern is in.")
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    with server(options.url, options.keep) as url:
        asyncio.run(measure(url, options))


@contextmanager
def server(url: str | None, kept: str | None = None):
    """Give the URL of a database."""
    if url is not None:
        yield url
        return
    settings = {"shared_buffers": "512MB", "max_wal_size": "8GB", "synchronous_commit": "off"}
    server = PostgresServer(server_programs(), kept, **settings)
    try:
        server.start()
        yield server.url("postgres")
    finally:
        server.remove()


async def measure(url: str, options: argparse.Namespace) -> None:
    """Print what the questions take."""
    store = open_store(url)
    await store.open()
    n = 0 if await store.first_decision() is None else await about_how_many(store)
    if not n:
        seconds = await fill(url, Traffic(options.decisions, days=options.days, copies=options.copies))
        n = options.decisions
        print(f"wrote {n:,} decisions over {options.days:g} days in {seconds:.0f} s, {n / seconds:,.0f} a second")
    print(f"{n:,} decisions, {await size_of(store) / 1e9:.2f} GB; load {os.getloadavg()[0]:.1f}", flush=True)
    await roll(store.reader, options.hours)
    for name, ask in questions(store, await newest(store), options.days):
        if re.search(options.only, name):
            await timed(store, name, ask, options.repeat)
    print(f"load {os.getloadavg()[0]:.1f}")
    await store.close()


async def about_how_many(store) -> int:
    """Return the number of decisions; in PostgreSQL as of its last ANALYZE, because counting millions takes long."""
    if store.url.get_backend_name() == "sqlite":
        return (await store.count())[Kind.DECISION]
    known = "SELECT sum(reltuples)::bigint FROM pg_class WHERE relname LIKE 'router_decisions_2%' AND relkind = 'r'"
    async with store.reading() as connection:
        return (await connection.exec_driver_sql(known)).scalar_one()


async def size_of(store) -> int:
    """Return the bytes of a database with its indices."""
    if store.url.get_backend_name() == "sqlite":
        return Path(store.url.database).stat().st_size  # noqa: ASYNC240  (nothing else runs)
    async with store.reading() as connection:
        return (await connection.exec_driver_sql("SELECT pg_database_size(current_database())")).scalar_one()


async def newest(store) -> datetime:
    """Return the time of the newest decision: now, for the questions."""
    found = await store.reader.find(Wanted(), None, 1)
    return min(found.rows[0]["created_at"], datetime.now(UTC))


async def roll(reader, most: int) -> None:
    """Sum up hours, as the service does in the background."""
    began, processor, n_hours = time.monotonic(), time.process_time(), 0
    while n_hours < most and await reader.roll_next():
        n_hours += 1
    if n_hours:
        wall, used = time.monotonic() - began, time.process_time() - processor
        print(
            f"summed up {n_hours} hours: {wall / n_hours:.2f} s an hour, {used / n_hours:.2f} s of processor",
            flush=True,
        )


def questions(store, now: datetime, days: float):
    """Yield names and coroutine functions that ask, each time with another random choice."""
    rng, reader = random.Random(1), store.reader

    def at() -> datetime:
        return now - timedelta(days=days * rng.uniform(0.02, 0.95))

    for name, hours in PERIODS.items():
        yield f"Now, {name}", lambda hours=hours: reader.summaries(now - timedelta(hours=hours), now=now)
    yield "Now, 5 minutes, after a start", lambda: _fresh(store).summaries(now - timedelta(minutes=5), now=now)
    yield "Now, 1 hour, after a start", lambda: _fresh(store).summaries(now - timedelta(hours=1), now=now)
    yield "Now, 30 days, one key", lambda: reader.summaries(now - timedelta(days=30), key=rng.choice(KEYS), now=now)
    yield "Spend, 7 days", lambda: reader.summaries(now - timedelta(days=7), now=now)
    wanted = {
        "the newest": Wanted,
        "of a model": lambda: Wanted(model="large"),
        "of a key": lambda: Wanted(key_id=rng.choice(KEYS)),
        "of a key, that failed": lambda: Wanted(key_id=rng.choice(KEYS), status="failed"),
        "of a reason that none has": lambda: Wanted(reason="fallback"),
        "of a session": lambda: Wanted(session_id=f"session-{rng.randrange(1000)}"),
        "answered": lambda: Wanted(status="answered"),
        "failed": lambda: Wanted(status="failed"),
        "not called": lambda: Wanted(status="uncalled"),
        "judged": lambda: Wanted(status="judged"),
        "explored": lambda: Wanted(status="explored"),
        "degraded": lambda: Wanted(status="degraded"),
        "with a text": lambda: Wanted(text="autumn"),
        "with a text that none has": lambda: Wanted(text="nothing has this"),
        "until some day, judged": lambda: Wanted(until=at(), status="judged"),
        "of some hour": lambda: Wanted(since=(since := at()), until=since + timedelta(hours=1), key_id=KEYS[0]),
    }
    for name, make in wanted.items():
        yield f"Decisions, {name}", lambda make=make: reader.find(make(), None, 50)
    yield "Decisions, a page from further back", lambda: reader.find(Wanted(), Place(at(), "dec_"), 50)

    async def one():
        page = await reader.find(Wanted(), Place(at(), "dec_"), 1)
        began = time.monotonic(), time.process_time()
        row = await store.read(Kind.DECISION, page.rows[0]["decision_id"])
        calls, _ = await reader.belonging(row["decision_id"])
        assert calls
        return began

    yield "One decision with its calls", one

    async def answer():
        page = await reader.find(Wanted(status="answered"), Place(at(), "dec_"), 1)
        calls, _ = await reader.belonging(page.rows[0]["decision_id"])
        began = time.monotonic(), time.process_time()
        assert await store.find(Kind.ATTEMPT, {"response_id": calls[-1]["response_id"], "error_type": None})
        return began

    yield "A call by its answer's id", answer
    yield "What a key has spent in 30 days", lambda: store.spent_usd(rng.choice(KEYS), [now - timedelta(days=30)])


def _fresh(store) -> SqlReader:
    return SqlReader(store.reading, store.writing)


async def timed(store, name: str, ask, repeat: int) -> None:
    """Print percentiles of a question's wall clock, and medians of the processor time that it took, in ms."""
    waited, own, servers = [], [], []
    for _ in range(repeat):
        before = _of_servers(store)
        began, processor = time.monotonic(), time.process_time()
        answer = await ask()
        if isinstance(answer, tuple):  # what came before does not count
            began, processor = answer
        own.append(1000 * (time.process_time() - processor))
        waited.append(1000 * (time.monotonic() - began))
        servers.append(1000 * (_of_servers(store) - before))
    p50, p95 = np.percentile(waited[1:], (50, 95))
    used = f"processor {np.median(own[1:]):6.1f}, p95 {np.percentile(own[1:], 95):6.1f}"
    used += f"; server's {np.mean(servers[1:]):6.1f}" if store.url.get_backend_name() != "sqlite" else ""
    print(f"{name:38} first {waited[0]:6.0f}  p50 {p50:7.1f}  p95 {p95:7.1f}  {used} ms", flush=True)


def _of_servers(store) -> float:
    """Return the processor time of PostgreSQL's processes for this database, in seconds; 0 where they are elsewhere."""
    title, used = f"postgres: {store.url.username} {store.url.database} ".encode(), 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(title):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # it has ended meanwhile
            continue
    return used


if __name__ == "__main__":
    main()
