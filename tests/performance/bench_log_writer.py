"""How many decisions a second one PostgreSQL takes from the service's writer: ``bench_log_writer.py --writers 1 2``.

Each writer is a process with the service's own log: its queue, its thread and its batches. It is given decisions, each
with its call, as fast as it writes them. The server is started for this, with its log of changes on disk (fsync).
Others who use the machine slow the wall clock, and not the processor time, which is what a core is divided by.
"""

import argparse
import asyncio
import dataclasses
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import asyncpg
from fill_log import KEYS, made_up
from postgres_server import PostgresServer, server_programs

from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.opening import open_log

AT_ONCE = 2000
"""Decisions that are given to the writer before it is waited for; it writes 500 records in a batch."""
PATIENCE_S = 20.0
"""A batch that took longer than half of this would go to the spool, too, and so cost something else."""


def main() -> None:
    """Measure each number of writers, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--decisions", type=int, default=20_000, help="Of each writer.")
    parser.add_argument("--url", help="Be a writer to this log.")
    given = parser.parse_args()
    if given.url is not None:
        asyncio.run(write(given.url, given.decisions))
        return
    server = PostgresServer(server_programs(), fsync="on", shared_buffers="512MB", max_wal_size="4GB")
    try:
        server.start()
        for n_writers in given.writers:
            asyncio.run(measure(server, n_writers, given.decisions))
    finally:
        server.remove()


async def measure(server: PostgresServer, n_writers: int, n: int) -> None:
    """Print what writing takes."""
    url = server.url(await server.create_database())
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    command = [sys.executable, __file__, "--url", url, "--decisions", str(n)]
    await asyncio.to_thread(subprocess.run, [*command[:-1], "1"], check=True, capture_output=True)  # makes the tables
    position, used = await connection.fetchval("SELECT pg_current_wal_lsn()"), of_server(server)
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n_writers)]  # noqa: ASYNC220
    said = [await asyncio.to_thread(writer.communicate) for writer in writers]
    used = of_server(server) - used
    seconds, processor = zip(*(map(float, out.split()) for out, _ in said), strict=True)
    wal = await connection.fetchval("SELECT pg_current_wal_lsn()") - position  # asyncpg gives bytes
    there = await connection.fetchval("SELECT count(*) FROM router_decisions")
    assert there == n_writers * n + 1, there
    await connection.close()
    total = n_writers * n
    print(
        f"{n_writers} writers: {total / max(seconds):,.0f} decisions a second, each with its call; processor time of "
        f"each: writer {1e6 * sum(processor) / total:.0f} us, server {1e6 * used / total:.0f} us; "
        f"{wal / total / 1000:.1f} kB of WAL; load {os.getloadavg()[0]:.1f}"
    )


async def write(url: str, n: int) -> None:
    """Write decisions; say how long it took, and the processor time, in seconds."""
    rng = random.Random(os.getpid())
    shapes = [made_up(rng) for _ in range(min(n, 1000))]
    with TemporaryDirectory() as folder:
        log = open_log(Settings(artifact="none", log=url, log_spool=Path(folder) / "spool", log_flush_s=PATIENCE_S))
        await log.start()
        began, processor, made = time.monotonic(), time.process_time(), 0.0
        for number in range(n):
            start = time.thread_time()
            decision, call = pair(rng, shapes[number % len(shapes)])
            made += time.thread_time() - start
            log.put(decision)
            log.put(call)
            if number % AT_ONCE == AT_ONCE - 1:
                await log.flush(600)
        await log.flush(600)
        took, used = time.monotonic() - began, time.process_time() - processor - made
        stats = log.stats
        assert (stats.dropped, stats.spooled) == (0, 0), stats
        await log.close(60)
    print(took, used)


def pair(rng: random.Random, shape):
    """Return a decision and its call with an id, a time and a key of their own."""
    now, key = datetime.now(UTC), rng.choice(KEYS)
    decision_id = f"dec_{int(now.timestamp() * 1000):012x}7000{rng.getrandbits(64):016x}"
    decision = dataclasses.replace(shape[0], decision_id=decision_id, created_at=now, key_id=key)
    own = {"attempt_id": f"att_{rng.getrandbits(128):032x}", "response_id": f"chatcmpl-{rng.getrandbits(96):024x}"}
    return decision, dataclasses.replace(shape[1][0], decision_id=decision_id, created_at=now, key_id=key, **own)


def of_server(server: PostgresServer) -> float:
    """Return the processor time of all of the server's processes so far, in seconds."""
    main, total = server._process.pid, 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(process.name) == main:
            total += sum(map(int, fields[11:15]))  # with its children that have ended
        elif int(fields[1]) == main:
            total += sum(map(int, fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
