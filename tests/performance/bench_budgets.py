"""What keeping to a budget costs: microseconds of reserving and of settling, by processes that share the file.

Run: ``python tests/performance/bench_budgets.py``. Each process asks 450 times a second at most.
"""

import multiprocessing
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from router_model.catalog import ModelCard
from router_model.serving.access.budgets import Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.worst_case import priced, worst_case_usd

BUDGET = KeyBudget(Decimal(1_000_000), Per.DAY)
ACME = Provider("acme", Kind.OPENAI, "http://localhost")
TARGETS = [Target("m", ACME, "m", ModelCard("m", Decimal(2), Decimal(10)))] * 3
N_CALLS, PAUSE_S = 2000, 0.002


def worst_usd() -> Decimal:
    return max(worst_case_usd(priced(one), 900, 500) for one in TARGETS)


def ask(path: Path, results: "multiprocessing.Queue[list[float]]") -> None:
    """Reserve and settle, and say how long each step took."""
    budgets, took_us = Budgets(path), []
    for _ in range(N_CALLS):
        began = time.perf_counter()
        reservation = budgets.reserve("key", BUDGET, worst_usd, within_s=600)
        between = time.perf_counter()
        reservation.settle(0.001)
        took_us += [1e6 * (between - began), 1e6 * (time.perf_counter() - between)]
        time.sleep(PAUSE_S)
    budgets.close()
    results.put(took_us)


def main() -> None:
    print("| workers | p50 µs | p90 µs | p99 µs |\n|---|---|---|---|")
    for n_workers in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
            arguments = (Path(folder) / "budgets.db", results)
            workers = [multiprocessing.Process(target=ask, args=arguments) for _ in range(n_workers)]
            for worker in workers:
                worker.start()
            took_us = sorted(us for _ in workers for us in results.get(timeout=120))
            for worker in workers:
                worker.join()
        p50, p90, p99 = (took_us[int(len(took_us) * share)] for share in (0.5, 0.9, 0.99))
        print(f"| {n_workers} | {p50:.0f} | {p90:.0f} | {p99:.0f} |")


if __name__ == "__main__":
    main()
