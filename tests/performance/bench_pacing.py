"""The budget pacer on replays of the real tables: this file with ``--help``.

Trains on each table, streams its test prompts in random orders, in the order of their tasks and in the reverse of
it, at limits between the cheapest and the best single model's mean cost (shares of their distance in log cost), and
prints spend over the limit and realised quality against the best success value in hindsight under the same limit.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_quality import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from pacing_replay import Stream, replay

from router_model import BudgetPacer, PacingBudget
from router_model.spend_curve import SpendCurve
from router_model.training.table.costs import realised_costs
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
N_RANDOM = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--n-requests", type=int, help="length of the budget's period [default: of the stream]")
    parser.add_argument("--delay", type=int, default=0, help="requests until a realised cost is reported")
    options = parser.parse_args()
    orders = [f"random ({N_RANDOM}, worst)", "by task", "by task, reversed"]
    titles = ["table, seed", "limit, USD", "hindsight cost", "hindsight quality", *orders]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for table in options.tables.split(","):
        for seed in range(options.seeds):
            stream, tasks, curve = prepare_stream(options.data / table, seed)
            for limit in limits(stream):
                cells = row(stream, tasks, curve, limit, n_requests=options.n_requests, delay=options.delay)
                print(f"| {table}, {seed} | {limit:.3g} | {' | '.join(cells)} |", flush=True)
    print("\nCells: spend / limit, and quality less hindsight's in points (hundredths).")


def prepare_stream(folder: Path, seed: int) -> tuple[Stream, np.ndarray, SpendCurve]:
    """Train on a table; return its test prompts with their tasks, and the router's spend curve."""
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    split = split_prompts(outcomes.prompt_ids, seed=seed)
    run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
    router, _ = run.fit(lambda _: None)
    test = outcomes.take(split.test)
    stream = Stream(router.predict_features(features.take(split.test)), realised_costs(test, catalog), test.quality)
    assert router.artifact.spend_curve is not None
    return stream, np.array(test.tasks), router.artifact.spend_curve


def limits(stream: Stream) -> list[float]:
    """Return limits between the cheapest and the best single model's mean cost."""
    mean = stream.cost_usd.mean(axis=0)
    low, high = mean.min(), mean[stream.quality.mean(axis=0).argmax()]
    return [float(low * (high / low) ** share) for share in SHARES]


def orders_of(tasks: np.ndarray) -> list[list[np.ndarray]]:
    """Return random orders, the order of the tasks' names, and its reverse."""
    by_task = np.argsort(tasks, kind="stable")
    return [[np.random.default_rng(s).permutation(len(tasks)) for s in range(N_RANDOM)], [by_task], [by_task[::-1]]]


def row(
    stream: Stream, tasks: np.ndarray, curve: SpendCurve, limit: float, *, n_requests: int | None, delay: int
) -> list[str]:
    best, decisions = stream.best_static(limit), stream.decisions()
    cells = [f"{best.cost_usd / limit:.3f}", f"{best.quality:.4f}"]
    for group in orders_of(tasks):
        spent = [
            replay(pacer_of(curve, limit, n_requests or len(tasks)), stream, decisions, order, delay=delay)
            for order in group
        ]
        most, least = max(one.cost_usd for one in spent), min(one.quality for one in spent)
        cells.append(f"{most / limit:.4f}, {100 * (least - best.quality):+.2f}")
    return cells


def pacer_of(curve: SpendCurve, limit: float, n_requests: int) -> BudgetPacer:
    return BudgetPacer(curve, PacingBudget.per_request(limit, n_requests=n_requests))


if __name__ == "__main__":
    main()
