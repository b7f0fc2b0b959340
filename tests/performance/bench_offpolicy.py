"""How many logged requests show a difference of a point, by the design of exploration; this file with ``--help``.

On six models of each table, spread by cost, a challenger is trained on all training prompts, and a champion on `--few`.
Both decide on the held-out prompts, whose outcomes are all known. Logs are drawn from these, with each design of
exploration (`logged_replay.DESIGNS`), and the paired difference is estimated from each: 200 times with 10,000 requests.
Requests to see a point are 7.85 sigma^2 / 0.01^2 (power 80 %, two-sided at 95 %), with the exact variance.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_quality import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from logged_replay import DESIGNS, World, replay

from router_model.training.measuring.evaluate import eligible_models
from router_model.training.offpolicy.estimates import all_differences, anytime_difference, requests_to_show
from router_model.training.table.costs import realised_costs
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

N_MODELS = 6
TITLES = (
    "table", "logging", "requests to see 1 point: DR", "IPS", "challenger rows", "DR covers", "error DR / IPS, points",
    "anytime ±, excludes", "exploring costs, points",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--few", type=int, default=600, help="training prompts of the champion")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--replications", type=int, default=200)
    options = parser.parse_args()
    print(f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|")
    for table in options.tables.split(","):
        world = world_of(options.data / table, options.few)
        differ = (world.champion != world.challenger).mean()
        print(
            f"{table}: difference {100 * world.truth:+.2f} points, disagree {differ:.1%}", file=sys.stderr, flush=True
        )
        for design in DESIGNS:
            cells = row(world, design, options.requests, options.replications)
            print(f"| {table} | {design} | {' | '.join(cells)} |", flush=True)


def world_of(folder: Path, few: int) -> World:
    """Train both, at the value of quality that the challenger's training chose."""
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    by_cost = np.argsort(np.nanmean(realised_costs(outcomes, catalog), axis=0))
    spread = by_cost[np.linspace(0, len(by_cost) - 1, N_MODELS).round().astype(int)]
    outcomes = outcomes.select_models([outcomes.models[column] for column in sorted(spread)])
    split = split_prompts(outcomes.prompt_ids, seed=0)
    some = np.sort(np.random.default_rng(0).choice(split.train, few, replace=False))
    routers = []
    for train in (split.train, some):
        run = Run(
            folder / "outcomes.parquet", outcomes, features, Split(train, split.calibration, split.test), catalog,
            encoder, TrainConfig(),
        )  # fmt: skip
        routers.append(run.fit(lambda _: None)[0])
    point = replace(routers[0].artifact.operating_point, always_model=None)
    held, of_held = outcomes.take(split.test), features.take(split.test)
    complete = np.flatnonzero(~np.isnan(held.quality).any(axis=1))
    chosen, predicted = [], []
    for router in routers:
        same = replace(router, artifact=replace(router.artifact, operating_point=point))
        table = same.predict_features(of_held, point.quality_bar)
        eligible = eligible_models(same, held, of_held, table)
        chosen.append(same.rank(same.rule(), table, eligible)[:, 0][complete])
        predicted.append(table.mean_quality[complete].astype(np.float64))
    return World(held.quality[complete], predicted[0], champion=chosen[1], challenger=chosen[0])


def row(world: World, design: str, n: int, replications: int) -> list[str]:
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for _ in range(replications):
        log = replay(world, design, n, rng)
        estimates = all_differences(log.challenger, log.champion, log.rewards, log.sessions)
        for name in ("DR", "IPS"):
            found.setdefault(name, []).append(estimates[name].value - world.truth)
        found.setdefault("covers", []).append(estimates["DR"].low <= world.truth <= estimates["DR"].high)
        found.setdefault("rows", []).append(log.n_challenger)
        anytime = anytime_difference(log.challenger, log.champion, log.rewards, largest_weight=log.largest_weight)
        found.setdefault("anytime", []).append(anytime.half_width)
        found.setdefault("excludes", []).append(not anytime.low <= world.truth <= anytime.high)
    needed = [requests_to_show(variance(world, design, baseline)) for baseline in (world.predicted, None)]
    errors = [100 * float(np.sqrt(np.mean(np.square(found[name])))) for name in ("DR", "IPS")]
    rows = np.arange(len(world.quality))
    explored = (world.propensities(design) * world.quality).sum(axis=1) - world.quality[rows, world.champion]
    return [
        *(f"{float(f'{each:.2g}'):,.0f}" for each in needed),
        f"{np.mean(found['rows']):,.0f}",
        f"{np.mean(found['covers']):.3f}",
        f"{errors[0]:.2f} / {errors[1]:.2f}",
        f"{100 * np.mean(found['anytime']):.1f}, {np.mean(found['excludes']):.1%}",
        f"{-100 * explored.mean():+.2f}",
    ]


def variance(world: World, design: str, baseline: np.ndarray | None) -> float:
    """Return the exact variance of a row's part of the difference, over prompts and draws; no baseline is IPS."""
    n_models = world.quality.shape[1]
    chances = world.propensities(design)
    predicted = np.zeros(world.quality.shape) if baseline is None else baseline
    step = np.eye(n_models)[world.challenger] - np.eye(n_models)[world.champion]
    weight = np.divide(step, chances, out=np.zeros_like(step), where=chances > 0)
    parts = (step * predicted).sum(axis=1, keepdims=True) + weight * (world.quality - predicted)
    return float((chances * parts**2).sum(axis=1).mean() - world.truth**2)


if __name__ == "__main__":
    main()
