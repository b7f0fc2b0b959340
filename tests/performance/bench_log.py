"""What the decision log costs, and what a killed process loses: python tests/performance/bench_log.py [--log URL].

Records of 13 candidates and 100 words at 600 a second. Pin it to one core (``taskset -c 0``) to share that core as a
service does.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from log_records import candidate, decision

from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.opening import open_log, open_store
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.segments import scan
from router_model.serving.decision_log.store import Period

RATE = 600
SECONDS = 6
KILLS = 6
CANDIDATES = tuple(candidate(f"model-{index}", 1 / 13, index / 13) for index in range(13))
MESSAGES = json.dumps([{"role": "user", "content": "word " * 100}])


def record(n):
    return decision(n, candidates=CANDIDATES, messages=MESSAGES)


def log_at(url, folder):
    return open_log(Settings(artifact="none", log=url, log_spool=folder / "spool"))


async def paced(n, each):
    """Call `each` with 0 to n - 1 at `RATE`; return how late each call was, sorted, in s."""
    late, began = [], time.perf_counter()
    for index in range(n):
        due = began + index / RATE
        while (now := time.perf_counter()) < due:  # noqa: ASYNC110  (time is what is waited for)
            await asyncio.sleep(due - now)
        late.append(now - due)
        each(index)
    return sorted(late)


async def cost(url, folder):
    """Print processor time a record, and how late the event loop beside the log wakes."""
    log = log_at(url, folder)
    await log.start()
    n, used, in_put = RATE * SECONDS, {}, 0.0
    records = [record(index) for index in range(n)]

    def put(index):
        nonlocal in_put
        start = time.perf_counter()
        log.put(records[index])
        in_put += time.perf_counter() - start

    for name, each in (("without", lambda _: None), ("with", put)):
        start = time.process_time()
        late = await paced(n, each)
        await log.flush(60)
        used[name] = (time.process_time() - start) / n * 1e6
        print(
            f"{name:>8} the log: wakes late by {late[n // 2] * 1e3:.2f} ms p50, {late[n * 99 // 100] * 1e3:.2f} ms p99"
        )
    start = time.process_time()
    await log.close(60)
    closing = (time.process_time() - start) / n * 1e6
    print(f"processor time a record: {used['with'] - used['without']:.0f} us, of which put {in_put / n * 1e6:.1f} us;")
    print(f"  {closing:.0f} us more to close the log (files of Parquet)")


async def put_until_killed(url, folder, first):
    """Be the process that is killed: say each record's number and the time it was put."""
    log = log_at(url, folder)
    await log.start()

    def put(index):
        log.put(record(first + index))
        print(first + index, time.monotonic(), flush=True)

    await paced(1_000_000, put)


def killed(url, folder, first):
    """Run such a process and kill it; return the time put of each number, and the time of the kill."""
    arguments = [sys.executable, __file__, "--log", url, "--folder", str(folder), "--first", str(first)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline()]
        time.sleep(1 + random.random())
        at = time.monotonic()
        process.kill()
        said += process.stdout.readlines()
    pairs = (line.split() for line in said if line.endswith("\n"))
    return {int(n): float(put_at) for n, put_at in pairs}, at


async def numbers_in(url, folder):
    """Take in what was left in the spool; return the numbers of all records of the log."""
    log = log_at(url, folder)
    await log.start()
    await log.close(60)
    store = open_store(url)
    await store.open()
    with TemporaryDirectory() as staged:
        files = await store.stage(Kind.DECISION, Period(), Path(staged))
        ids = scan(Kind.DECISION, files).select("decision_id").collect()["decision_id"]
    await store.close()
    return [int(each.removeprefix("dec_"), 16) for each in ids]


def losses(url, folder):
    """Print what was lost by kills."""
    runs, first = [], 10_000_000
    for _ in range(KILLS):
        runs.append(killed(url, folder, first))
        first = max(runs[-1][0]) + 1000
    found = asyncio.run(numbers_in(url, folder))
    kept = set(found)
    print(f"{KILLS} kills: {len(found) - len(kept)} records are there twice")
    for put, at in runs:
        lost = [put_at for n, put_at in put.items() if n not in kept]
        oldest = f"the oldest put {(at - min(lost)) * 1e3:.0f} ms before the kill" if lost else ""
        print(f"  {len(put)} put, {len(lost)} lost {oldest}")


def main():
    """Measure one log, or SQLite and Parquet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--first", type=int)
    given = parser.parse_args()
    if given.first is not None:
        asyncio.run(put_until_killed(given.log, given.folder, given.first))
        return
    with TemporaryDirectory() as folder:
        for url in [given.log] if given.log else [f"sqlite:///{folder}/log.db", f"parquet:{folder}/log"]:
            print(url.split(":", 1)[0])
            asyncio.run(cost(url, Path(folder)))
            losses(url, Path(folder))


if __name__ == "__main__":
    main()
