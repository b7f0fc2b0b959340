"""Real processes and servers, killed in the middle of load: what was settled is there, and nothing is there twice."""

import asyncio
import subprocess
import sys
import threading
import time
from itertools import takewhile
from pathlib import Path

import pytest
from log_records import decision, session
from waiting import PATIENT_S, until

from router_model.serving.decision_log.opening import open_spool, open_store
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.rows import Kind

SUPPORT = Path(__file__).parents[2] / "support"


def log_at(url, folder):
    return QueuedLog(open_store(url), open_spool(url, folder), queue=20_000, flush_s=0.05)


def run_until_killed(url, folder, first, after_s):
    """Let a process log until it is killed; return how many decisions were put and how many settled."""
    arguments = [sys.executable, SUPPORT / "killed_logger.py", url, folder, str(first)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        last_moment = threading.Timer(PATIENT_S, process.kill)
        last_moment.start()
        try:
            said = list(takewhile(lambda line: not is_settled(line, first + 200), process.stdout))
            time.sleep(after_s)
        finally:
            process.kill()
            last_moment.cancel()
        said += process.stdout.readlines()
    counts = {word: int(n) for word, n in (line.split() for line in said if line.endswith("\n"))}
    return counts["put"], counts["settled"]


def is_settled(line, n):
    return line.startswith("settled") and int(line.split()[1]) >= n


def replay(url, folder):
    async def run():
        log = log_at(url, folder)
        await log.start()
        await log.close(PATIENT_S)
        return log.stats

    return asyncio.run(run())


@pytest.mark.parametrize(
    "log_url",
    ["postgresql", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sqlite", "parquet"))],
    indirect=True,
)
def test_killed_processes_lose_nothing_that_was_settled(log_url, tmp_path, stored):
    """Killed three times at different moments; each next process takes over what the one before left.

    What was put after the last settling may be lost: with a flush interval of 0.2 s, the last 0.2 s.
    """
    settled, first = set(), 0
    for after_s in (0.0, 0.11, 0.27):
        n_put, n_settled = run_until_killed(log_url, tmp_path / "spool", first, after_s)
        settled |= set(range(first, n_settled))
        first = n_put + 1000
    assert replay(log_url, tmp_path / "spool").spool_depth == 0
    found = [int(record.decision_id.removeprefix("dec_"), 16) for record in stored(log_url)]
    assert len(found) == len(set(found))
    assert settled <= set(found)
    assert len(settled) > 500
    assert list((tmp_path / "spool").glob("*.spool")) == []


@pytest.mark.parametrize("immediately", [pytest.param(False, marks=pytest.mark.slow), True])
def test_postgres_stops_and_starts_in_the_middle_of_load(postgres, new_database, tmp_path, stored, immediately):
    url = new_database()

    async def run():
        log = log_at(url, tmp_path)
        await log.start()
        restart = asyncio.create_task(asyncio.to_thread(restart_server))
        n_put = 0
        while not restart.done():
            log.put(decision(n_put))
            log.put(session(f"s{n_put % 7}", n_put))
            n_put += 1
            await asyncio.sleep(0.002)
        await restart
        await until(lambda: log.stats.available and not log.stats.spool_depth)
        await log.close(PATIENT_S)
        return n_put, log.stats

    def restart_server():
        time.sleep(0.3)
        postgres.stop(immediately=immediately)
        time.sleep(0.3)
        postgres.start()
        time.sleep(0.3)

    n_put, stats = asyncio.run(run())
    assert [record.decision_id for record in stored(url)] == [decision(n).decision_id for n in range(n_put)]
    assert [record.n_input_tokens for record in stored(url, Kind.SESSION)] == newest_of_each(n_put)
    assert stats.spooled > 0
    assert stats.dropped == 0


def newest_of_each(n_put):
    """The n-th session record has 50 + n tokens; there are seven sessions in turn."""
    return [50 + max(n for n in range(n_put) if n % 7 == k) for k in range(7)]


def test_a_service_starts_while_postgres_is_away(postgres, new_database, tmp_path, stored):
    url = new_database()
    postgres.stop()

    async def run():
        log = log_at(url, tmp_path)
        await log.start()
        log.put(decision(1))
        await log.flush(PATIENT_S)
        away = log.stats
        await asyncio.to_thread(postgres.start)
        await until(lambda: log.stats.replayed)
        await log.close(PATIENT_S)
        return away

    try:
        away = asyncio.run(run())
    finally:
        postgres.ensure()
    assert (away.available, away.spooled) == (False, 1)
    assert stored(url) == [decision(1)]


def test_workers_that_start_at_once_migrate_once(log_url, tmp_path, stored):
    """Six logs on one new store and one spool, each in a thread of its own."""

    async def run():
        logs = [log_at(log_url, tmp_path / "spool") for _ in range(6)]
        await asyncio.gather(*(log.start() for log in logs))
        for n in range(60):
            logs[n % 6].put(decision(n))
        await asyncio.gather(*(log.close(PATIENT_S) for log in logs))
        return [log.stats for log in logs]

    stats = asyncio.run(run())
    assert all(each.available for each in stats)
    assert stored(log_url) == [decision(n) for n in range(60)]
