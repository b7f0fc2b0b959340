"""How fast the decision service answers, and what it takes: `router-model serve`, one worker, over a real socket.

The server has one core, the load generator another. Keys are checked, every decision is logged to SQLite, metrics are
kept: those are the figures that count. Prompts are the table's own of about 100 word pieces; each request is a session
of its own. What is printed, for a router of 13 candidates (trained first, unless given) and for one of 400:

- latency at a steady rate, counted from when a request was due, also with requests that come at random;
- requests a second with 32 always under way, and the server's CPU time and memory for them;
- whether every decision that was answered is in the log;
- how much more two workers answer than one, on all cores, which the generator shares with them;
- with --soak N: the growth of memory over N requests.

    python tests/performance/bench_serve.py DATA/mmlu_pro [--router FOLDER] [--soak 200000]
"""

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from decision_load import REPOSITORY, created_key, near_prompts, trained
from http_load import Load, Request, at_random, closed_loop, evenly, open_loop, post
from processes import free_port
from served import Served, Usage, served
from tiled_router import tiled

from router_model.saved.artifact import load_artifact, save_artifact

N_MANY = 400
RATE, RATE_MANY, CONCURRENCY = 200.0, 50.0, 32
TURNS = 5
SOAK_SESSIONS = 10_000  # kept in memory at once while soaking, so that they are all there when it is warm
WARM_SHARE = 0.2  # of a soak, before memory is looked at

# Answers at once with what a decision weighs: what the generator can do where the server does nothing.
TRIVIAL = """
BODY = b"x" * 3500
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3500")]}
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    await send(HEAD)
    await send({"type": "http.response.body", "body": BODY})
"""


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    folder: Path
    prompts: list[str]
    server_core: int | None
    seconds: float
    soak: int


def main() -> None:
    options = parsed()
    cores = sorted(os.sched_getaffinity(0))
    server_core = cores[-1] if len(cores) > 1 else None
    if server_core is None:
        print("one core only: server and generator share it, and every figure is worse for it")
    with tempfile.TemporaryDirectory() as name:
        prompts = near_prompts(options.table / "outcomes.parquet")
        router = options.router or trained(options.table, Path(name) / "router")
        if server_core is not None:
            os.sched_setaffinity(0, {core for core in cores if core != server_core})
        bench = Bench(Path(name), prompts, server_core, options.seconds, options.soak)
        print_ceiling(bench)
        measure(bench, router, rate=RATE)
        if options.soak:
            soak(bench, router)
        many = Path(name) / "many"
        save_artifact(tiled(load_artifact(router), N_MANY), many)
        measure(bench, many, rate=RATE_MANY)
        os.sched_setaffinity(0, cores)
        two_workers(replace(bench, server_core=None), router)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--router", type=Path, help="a trained router instead of one trained here")
    parser.add_argument("--seconds", type=float, default=20, help="length of each measurement")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="requests over which memory is watched")
    return parser.parse_args()


def measure(bench: Bench, router: Path, *, rate: float) -> None:
    """Print the figures of one router."""
    n_models = len(load_artifact(router).predictor.models)
    print(f"\n{n_models} candidates")
    with service(bench, router) as (server, request, log):
        answered = run(closed_loop(server.address, request(), concurrency=4, n_requests=500)).n_ok  # warms everything
        for label, due in (
            (f"{rate:g}/s, steady", evenly(rate, bench.seconds)),
            (f"{rate:g}/s, at random", at_random(rate, bench.seconds)),
        ):
            before = server.usage()
            load = run(open_loop(server.address, request(), due_s=due.tolist()))
            print_load(label, load, server.usage().since(before))
            answered += load.n_ok
        before = server.usage()
        load = run(closed_loop(server.address, request(), concurrency=CONCURRENCY, seconds=bench.seconds))
        print_load(f"{CONCURRENCY} under way", load, server.usage().since(before))
        answered += load.n_ok
        print(f"  resident memory {server.rss_mb():.0f} MB")
    print_completeness(log, answered)


def two_workers(bench: Bench, router: Path) -> None:
    """Print the answers a second of one and of two workers, which take turns, and the ratio within a turn."""
    rates: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(TURNS):
        for workers, seen in rates.items():
            with service(bench, router, ROUTER_WORKERS=workers) as (server, request, _):
                run(closed_loop(server.address, request(), concurrency=8, n_requests=1500))
                before = server.usage()
                load = run(
                    closed_loop(server.address, request(), concurrency=2 * CONCURRENCY, seconds=bench.seconds / 2)
                )
                print_load(f"workers: {workers}", load, server.usage().since(before))
                seen.append(load.per_second)
    ratio = np.median(np.divide(rates["2"], rates["1"]))
    print(
        f"two workers answer {ratio:.2f} times as many as one, on {os.cpu_count()} cores that hold the generator, too"
    )


def soak(bench: Bench, router: Path) -> None:
    """Print how memory grows with requests: the slope of a straight line through what was seen when warm."""
    print(f"\nsoak: {bench.soak:,} requests, {CONCURRENCY} under way, {SOAK_SESSIONS:,} sessions kept")
    samples: list[tuple[int, float]] = []
    every = max(bench.soak // 200, 1)
    with service(bench, router, ROUTER_MAX_SESSIONS=str(SOAK_SESSIONS)) as (server, request, log):
        start = server.rss_mb()

        def look(n_answers: int) -> None:
            if n_answers % every == 0:
                samples.append((n_answers, server.rss_mb()))

        load = run(
            closed_loop(server.address, request(), concurrency=CONCURRENCY, n_requests=bench.soak, on_answer=look)
        )
        print_load("soak", load, server.usage())
    warm = np.array([sample for sample in samples if sample[0] >= WARM_SHARE * bench.soak])
    slope, _ = np.polyfit(warm[:, 0] / 100_000, warm[:, 1], 1)
    print(f"  resident memory {start:.0f} MB before the first request, {warm[0, 1]:.0f} MB after {warm[0, 0]:,.0f},")
    print(
        f"  {warm[-1, 1]:.0f} MB at the end: {slope:+.2f} MB per 100,000 requests (least squares, {len(warm)} samples)"
    )
    print_completeness(log, load.n_ok)


@contextmanager
def service(bench: Bench, router: Path, **settings: str) -> Iterator[tuple[Served, partial[Request], Path]]:
    """Run the service in a folder of its own; give it, a maker of requests, and its log's file."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as name:
        folder, port = Path(name), free_port()
        key = created_key(folder / "keys.toml")
        log = bench.folder / f"{folder.name}.db"
        env = {
            "ROUTER_PORT": str(port),
            "ROUTER_KEYS": str(folder / "keys.toml"),
            "ROUTER_LOG": f"sqlite+aiosqlite:///{log}",
            "ROUTER_LOG_SPOOL": str(folder / "spool"),
            **settings,
        }
        command = ["-m", "router_model", "serve", str(router)]
        with served(
            command,
            port=port,
            core=bench.server_core,
            ready="/readyz",
            env={"PYTHONPATH": str(REPOSITORY), **env},
            log=folder / "said.log",
            wait_s=120,
        ) as server:
            yield server, partial(requests, bench.prompts, key, folder.name), log


_n_loads = 0


def requests(prompts: list[str], key: str, run_name: str) -> Request:
    """Return what is sent: the prompts in turn, each in a session of its own."""
    global _n_loads  # noqa: PLW0603  (sessions of two loads must not meet)
    _n_loads += 1
    heads = [
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]})[:-1] for prompt in prompts
    ]
    name = f"{run_name}-{_n_loads}"

    def request(number: int) -> bytes:
        body = f'{heads[number % len(heads)]}, "router": {{"session_id": "{name}-{number}"}}}}'
        return post("/v1/route", body.encode(), host="127.0.0.1", key=key)

    return request


def print_ceiling(bench: Bench) -> None:
    """Print what the generator sees of an application that does nothing: it can measure no less, and no faster."""
    module, port = bench.folder / "trivial.py", free_port()
    module.write_text(TRIVIAL)
    command = ["-m", "uvicorn", "trivial:app", "--app-dir", str(bench.folder), "--port", str(port)]
    request = requests(bench.prompts, "none", "ceiling")
    with served(
        [*command, "--no-access-log", "--log-level", "warning"],
        port=port,
        core=bench.server_core,
        ready="/",
        env={},
        log=bench.folder / "trivial.log",
        wait_s=30,
    ) as server:
        print("generator, against an application that does nothing")
        for label, load in (
            (f"{RATE:g}/s, steady", open_loop(server.address, request, due_s=evenly(RATE, 5).tolist())),
            (f"{CONCURRENCY} under way", closed_loop(server.address, request, concurrency=CONCURRENCY, seconds=5)),
        ):
            before = server.usage()
            print_load(label, (done := run(load)), server.usage().since(before))
            assert done.n_errors == 0, done.statuses


def print_load(label: str, load: Load, used: Usage) -> None:
    p50, p90, p99, most = (load.latency_ms(percent) for percent in (50, 90, 99, 100))
    cpu_ms = used.cpu_s / max(load.n_answers, 1) * 1000
    late = f", sent p99 {np.percentile(load.late_s, 99) * 1000:.2f} ms after due" if load.late_s else ""
    which = f" {load.statuses}" if load.n_errors else ""
    if load.degraded:
        which += f" ({(load.n_ok - load.degraded) / load.seconds:.0f}/s were decided by the router)"
    print(
        f"  {label:16s} {load.per_second:6.0f}/s  p50 {p50:.2f}  p90 {p90:.2f}  p99 {p99:.2f}  max {most:.1f} ms; "
        f"errors {load.n_errors}, degraded {load.degraded}{which}{late}\n"
        f"  {'':16s} {cpu_ms:6.2f} ms CPU each, {used.waited_s / load.seconds:.0%} of the time waiting for the core",
        flush=True,
    )


def print_completeness(log: Path, answered: int) -> None:
    """Print whether each decision that was answered is in the log, which has been closed."""
    with sqlite3.connect(log) as database:
        (logged,) = database.execute("SELECT count(*) FROM router_decisions").fetchone()
    verdict = "complete" if logged == answered else f"{answered - logged:+,} missing"
    print(f"  log: {logged:,} decisions of {answered:,} answered: {verdict}", flush=True)


def run(load: Coroutine[None, None, Load]) -> Load:
    return asyncio.run(load)


if __name__ == "__main__":
    main()
