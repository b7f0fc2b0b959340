"""Whether the intervals of off-policy evaluation cover, and how many logged requests show a point, by design.

On six models of each table, spread by cost, a challenger is trained on all training prompts, and a champion on `--few`
(at most half of them). Both decide on the held-out prompts, whose outcomes are all known. Logs are drawn from these,
with each design of exploration (`logged_replay.DESIGNS`), and the paired difference is estimated from each, 200 times.
Three tables are printed for the documents (docs/off-policy.md):

1. Requests to see a point: 7.85 sigma^2 / 0.01^2 (power 80 %, two-sided at 95 %), with the exact variance.
2. Coverage of the intervals and errors of the estimators, with 10,000 requests.
3. How often the truth is excluded at any of 10 looks, by the fixed interval and by the anytime interval.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_quality import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from logged_replay import DESIGNS, Replay, World, replay

from router_model.training.measuring.evaluate import eligible_models
from router_model.training.measuring.verdict import Estimate
from router_model.training.offpolicy.estimates import (
    PLAIN,
    SHRUNK,
    Chances,
    LoggedPolicy,
    PairedParts,
    Rewards,
    all_differences,
    anytime_difference,
    mean_with_interval,
    paired_parts,
    requests_to_show,
    saving_on_log,
)
from router_model.training.table.costs import realised_costs
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig
from router_model.wording import percent

N_MODELS = 6
N_LOOKS = 10

NEEDED = ("table", "logging", "requests to see 1 point: DR", "IPS", "exploring costs, points")
COVERED = (
    "table", "logging", "challenger rows", "quality covers", "without the foreseen variance", "saving covers",
    "error, points: DR", *(name for name in (*PLAIN, *SHRUNK) if name != "DR"),
)  # fmt: skip
PEEKED = (
    "table",
    "logging",
    "excluded at any look: fixed interval",
    "anytime interval",
    "half width: fixed",
    "anytime",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro,bfcl")
    parser.add_argument("--few", type=int, default=600, help="training prompts of the champion")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--replications", type=int, default=200)
    options = parser.parse_args()
    worlds = {}
    for table in options.tables.split(","):
        worlds[table] = world = world_of(options.data / table, options.few)
        differ = (world.champion != world.challenger).mean()
        print(
            f"{table}: {100 * world.truth:+.2f} points, saves {percent(saving_of(world))}, disagree {percent(differ)}"
        )
    for titles, row in ((NEEDED, needed), (COVERED, covered), (PEEKED, peeked)):
        print(f"\n| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
        for table, world in worlds.items():
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
    some = np.sort(np.random.default_rng(0).choice(split.train, min(few, len(split.train) // 2), replace=False))
    routers = []
    for train in (split.train, some):
        run = Run(
            folder / "outcomes.parquet", outcomes, features, Split(train, split.calibration, split.test), catalog,
            encoder, TrainConfig(),
        )  # fmt: skip
        routers.append(run.fit(lambda _: None)[0])
    point = replace(routers[0].artifact.operating_point, always_model=None)
    held, of_held = outcomes.take(split.test), features.take(split.test)
    cost = realised_costs(held, catalog)
    complete = np.flatnonzero(~np.isnan(held.quality).any(axis=1) & ~np.isnan(cost).any(axis=1))
    chosen, quality, expected = [], [], []
    for router in routers:
        same = replace(router, artifact=replace(router.artifact, operating_point=point))
        table = same.predict_features(of_held, point.quality_bar)
        eligible = eligible_models(same, held, of_held, table)
        chosen.append(same.rank(same.rule(), table, eligible)[:, 0][complete])
        quality.append(table.mean_quality[complete].astype(np.float64))
        expected.append(table.expected_cost_usd[complete])
    return World(held.quality[complete], quality[0], chosen[1], chosen[0], cost[complete], expected[0])


def saving_of(world: World) -> float:
    """Return what the challenger truly saves."""
    assert world.cost is not None
    rows = np.arange(len(world.quality))
    return float(1 - world.cost[rows, world.challenger].mean() / world.cost[rows, world.champion].mean())


def needed(world: World, design: str, _n: int, _replications: int) -> list[str]:
    requests = [requests_to_show(variance(world, design, baseline)) for baseline in (world.predicted, None)]
    rows = np.arange(len(world.quality))
    explored = (world.propensities(design) * world.quality).sum(axis=1) - world.quality[rows, world.champion]
    return [*(f"{float(f'{each:.2g}'):,.0f}" for each in requests), f"{-100 * explored.mean():+.2f}"]


def covered(world: World, design: str, n: int, replications: int) -> list[str]:
    rng, saved = np.random.default_rng(0), saving_of(world)
    errors: dict[str, list[float]] = {}
    rows, printed, without, of_saving = [], [], [], []
    for _ in range(replications):
        log = replay(world, design, n, rng)
        estimates = all_differences(log.challenger, log.champion, log.rewards, log.sessions, log.chances)
        for name, estimate in estimates.items():
            errors.setdefault(name, []).append(estimate.value - world.truth)
        printed.append(covers(estimates["DR"], world.truth))
        without.append(covers(mean_with_interval(paired_parts(*policies_of(log)).total, log.sessions), world.truth))
        assert log.cost is not None
        chances = Chances.of_cost(log.propensity, log.cost)
        saving = saving_on_log(log.challenger, log.champion, log.cost, log.sessions, chances)
        of_saving.append(covers(saving, saved))
        rows.append(log.n_challenger)
    others = [name for name in errors if name != "DR"]
    return [
        f"{np.mean(rows):,.0f}",
        *(f"{np.mean(each):.3f}" for each in (printed, without, of_saving)),
        *(f"{100 * float(np.sqrt(np.mean(np.square(errors[name])))):.2f}" for name in ("DR", *others)),
    ]


def policies_of(log: Replay) -> tuple[LoggedPolicy, LoggedPolicy, Rewards]:
    return log.challenger, log.champion, log.rewards


def covers(interval: Estimate, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def peeked(world: World, design: str, n: int, replications: int) -> list[str]:
    """Look after every tenth of the log: the truth is excluded if any look does."""
    rng = np.random.default_rng(1)
    excluded, widths = [], []
    for _ in range(replications):
        log = replay(world, design, n, rng)
        parts = paired_parts(*policies_of(log), log.chances)
        looks = [look(log, parts, rows) for rows in np.linspace(0, n, N_LOOKS + 1).astype(int)[1:]]
        excluded.append([any(not covers(one, world.truth) for one in kind) for kind in zip(*looks, strict=True)])
        widths.append([one.half_width for one in looks[-1]])
    return [
        *(percent(share, digits=1) for share in np.mean(excluded, axis=0)),
        *(f"{100 * width:.1f}" for width in np.mean(widths, axis=0)),
    ]


def look(log: Replay, parts: PairedParts, n: int) -> tuple[Estimate, Estimate]:
    """Return the fixed and the anytime interval after n requests."""
    policies = [LoggedPolicy(each.probabilities[:n], each.weight[:n]) for each in (log.challenger, log.champion)]
    told = Rewards(log.rewards.value[:n], log.rewards.predicted[:n], log.rewards.taken[:n])
    anytime = anytime_difference(*policies, told, largest_weight=log.largest_weight)
    return parts.mean(log.sessions[:n], slice(n)), anytime


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
