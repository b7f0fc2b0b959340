"""How long the console's questions take on a large log: ``python tests/performance/bench_console.py --decisions 1000000``.

Writes a log of made-up decisions, calls and feedback over 30 days into SQLite, as the service's tables have them, then
asks what the pages ask. ``--keep FILE`` keeps the log, and uses it again if it is there.
"""

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.store import Place, Wanted
from router_model.serving.decision_log.tables import Insertion

MODELS = {"small": 0.0004, "coder": 0.002, "large": 0.012, "other": 0.006}
KEYS = [f"key{n:09d}" for n in range(20)]
DAYS = 30
_AT_ONCE = 5000


def main() -> None:
    """Write the log, and time the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=DAYS, help="Spread over so many days.")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "log.db"
        asyncio.run(measure(path, options.decisions, options.days))


async def measure(path: Path, n_decisions: int, days: float) -> None:
    """Print what the questions take."""
    is_new, store = not path.exists(), open_store(f"sqlite:///{path}")
    await store.open()
    if is_new:
        began = time.monotonic()
        fill(path, n_decisions, days=days)
        wrote = f"{n_decisions:,} decisions over {days:g} days in {time.monotonic() - began:.0f} s"
        print(f"wrote {wrote}; {path.stat().st_size / 1e9:.2f} GB", flush=True)
    reader = store.reader
    began, processor, n_hours = time.monotonic(), time.process_time(), 0
    while await reader.roll_next():
        n_hours += 1
    if n_hours:
        wall, processor = time.monotonic() - began, time.process_time() - processor
        print(
            f"summed up {n_hours} hours: {wall:.0f} s ({processor:.0f} s of processor), {wall / n_hours:.3f} s an hour"
        )
    now = datetime.now(UTC)
    for name, period in (("5 minutes", 5 / 60), ("1 hour", 1), ("1 day", 24), ("7 days", 168), ("30 days", 720)):
        since = now - timedelta(hours=period)
        await timed(f"Now, {name}", lambda since=since: reader.summaries(since))
    await timed("Now, 30 days, one key", lambda: reader.summaries(now - timedelta(days=30), key=KEYS[3]))
    for name, wanted in {
        "the newest": Wanted(),
        "of a model": Wanted(model="large"),
        "of a key": Wanted(key_id=KEYS[3]),
        "that failed": Wanted(status="failed"),
        "judged": Wanted(status="judged"),
        "with a text that none has": Wanted(text="nothing has this"),
        "of a week ago": Wanted(until=now - timedelta(days=7)),
    }.items():
        found = await timed(f"Decisions, {name}", lambda wanted=wanted: reader.find(wanted, None, 50))
    deep = Place(now - timedelta(days=20), "dec_")
    found = await timed("Decisions, a page of 20 days ago", lambda: reader.find(Wanted(), deep, 50))
    await timed("Decisions, one with its calls", lambda: reader.belonging(found.rows[0]["decision_id"]))
    await store.close()


async def timed(what: str, ask):
    """Print the processor time of a question, the first time and the best of three more times, and the wall clock's."""
    times, waited = [], []
    for _ in range(4):
        began, processor = time.monotonic(), time.process_time()
        answer = await ask()
        times.append(1000 * (time.process_time() - processor))
        waited.append(1000 * (time.monotonic() - began))
    print(
        f"{what:36} first {times[0]:7.1f} ms of processor ({waited[0]:7.1f} ms)   again {min(times[1:]):7.1f} ms",
        flush=True,
    )
    return answer


def fill(path: Path, n_decisions: int, *, seed: int = 0, days: float = DAYS) -> None:
    """Write decisions that are spread evenly over the last days, each with a call, every tenth with feedback."""
    from sqlalchemy.dialects import sqlite

    rng, now = random.Random(seed), datetime.now(UTC)
    inserts = {kind: Insertion(kind, sqlite.dialect()) for kind in (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK)}
    step = timedelta(days=days) / n_decisions
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous = OFF")
        for start in range(0, n_decisions, _AT_ONCE):
            rows = {kind: [] for kind in inserts}
            for n in range(start, min(start + _AT_ONCE, n_decisions)):
                add_rows(rows, rng, n, now - timedelta(days=days) + n * step)
            for kind, some in rows.items():
                database.executemany(inserts[kind].statement, inserts[kind].parameters(some))
            database.commit()


def add_rows(rows: dict[Kind, list[dict]], rng: random.Random, n: int, when: datetime) -> None:
    """Make one decision with what belongs to it."""
    decision_id = f"dec_{int(when.timestamp() * 1000):012x}{n:020x}"
    chances = {model: min(0.99, rng.betavariate(6, 2) * (0.8 + cost * 15)) for model, cost in MODELS.items()}
    costs = {model: cost * rng.uniform(0.5, 2) for model, cost in MODELS.items()}
    chosen = max(MODELS, key=lambda model: chances[model] * 0.03 - costs[model])
    order = sorted(MODELS, key=lambda model: model != chosen)
    key, candidates = (
        rng.choice(KEYS),
        {
            "model": order,
            "provider": ["simulated"] * len(order),
            "p_success": [chances[model] for model in order],
            "p_low": [chances[model] - 0.05 for model in order],
            "p_high": [min(chances[model] + 0.05, 1.0) for model in order],
            "expected_cost_usd": [costs[model] for model in order],
            "expected_output_tokens": [300.0] * len(order),
            "expected_latency_s": [1.0] * len(order),
            "expected_quality": [chances[model] for model in order],
            "propensity": [1.0] + [0.0] * (len(order) - 1),
            "level_shift": [None] * len(order),
        },
    )
    rows[Kind.DECISION].append({
        "decision_id": decision_id, "created_at": when, "model": chosen, "reason": "best_value",
        "candidates": candidates, "excluded": [["tiny", "context_window"]], "artifact": "sha256:0" * 8,
        "policy_version": "1", "quality_bar": 0.5, "certified": False, "explored": rng.random() < 0.05,
        "degraded": rng.random() < 0.001, "shadow": False, "key_id": key, "surface": "chat", "n_input_tokens": 40,
        "messages": orjson.dumps([{"role": "user", "content": f"question {n} " + "word " * 60}]).decode(),
        "decision_s": rng.lognormvariate(-6, 0.4), "session_id": f"session-{n // 4}",
    })  # fmt: skip
    is_bad = rng.random() < 0.02
    rows[Kind.ATTEMPT].append({
        "attempt_id": f"att_{n:032x}", "decision_id": decision_id, "created_at": when, "model": chosen,
        "provider": "simulated", "status": 503 if is_bad else 200, "error_type": "overloaded" if is_bad else None,
        "input_tokens": 40, "output_tokens": 300, "cost_usd": None if is_bad else costs[chosen] * rng.uniform(0.8, 1.3),
        "latency_s": rng.lognormvariate(0, 0.6), "first_token_s": rng.lognormvariate(-1, 0.5), "key_id": key,
        "response_id": f"resp-{n}",
    })  # fmt: skip
    if is_bad and rng.random() < 0.9:
        rows[Kind.ATTEMPT].append({
            **rows[Kind.ATTEMPT][-1], "attempt_id": f"at2_{n:032x}", "model": order[1], "status": 200,
            "error_type": None, "cost_usd": costs[order[1]],
        })  # fmt: skip
    if n % 10 == 0:
        rows[Kind.FEEDBACK].append({
            "feedback_id": f"fb_{n:032x}", "created_at": when + timedelta(seconds=30), "decision_id": decision_id,
            "score": float(rng.random() < chances[chosen]), "source": "user", "metric": "quality", "key_id": key,
            "authority": "own",
        })  # fmt: skip


if __name__ == "__main__":
    main()
