"""What happens on tasks a router never saw: leave one task out (docs/decisions/0006).

For every task of a table: train on the others, predict its prompts. Printed beside the hull of the single models: the
router with trust that falls with familiarity (what it does) and with full trust; how many prompts it abstains on; how
often a model's success rate on the task lies in its mean interval. Then quality and cost at each abstention rate, and
what trust costs on the table's own test prompts.

With ``--up-to N``: train on prompts of up to N characters, predict the longer ones (docs/decisions/0072).
"""

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare

from router_model.features.featuriser import PromptFeatures
from router_model.prediction_table import PredictionTable
from router_model.router import Router
from router_model.training.measuring.evaluate import sweep_frontier
from router_model.training.metrics import Points, Singles, aiq, mean_auc
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

LENGTHS = (1, 1.5, 2, 3, 5, 10)
LEAST = 40  # prompts of a row
HALF = 0.5
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--tasks", help="only these, with commas between")
    parser.add_argument("--seeds", type=int, default=3, help="for the cost on a table's own test prompts")
    parser.add_argument("--up-to", type=int, help="characters of the longest training prompt")
    options = parser.parse_args()
    for table in options.tables.split(","):
        if options.up_to:
            longer_prompts(options.data / table, options.up_to)
        else:
            shift(options.data / table, options.tasks.split(",") if options.tasks else None, options.seeds)


def longer_prompts(folder: Path, up_to: int) -> None:
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    chars = np.expm1(features.log_chars)
    short = np.flatnonzero(chars <= up_to)
    split = Split(short, short[:0], short[:0])
    run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, TrainConfig())
    router = run.fit(lambda _: None)[0]
    print(f"\n{folder.name}, trained on {len(short)} prompts of up to {up_to} characters")
    print("AIQ less the single models' hull\n")
    print("| times as long | prompts | full trust | familiarity alone | trust | abstained | log-loss: the same four |")
    print("|---|---|---|---|---|---|---|")
    for low, high in itertools.pairwise((*LENGTHS, np.inf)):
        rows = np.flatnonzero((chars > low * up_to) & (chars <= high * up_to))
        if len(rows) < LEAST:
            continue
        test, part = outcomes.take(rows), features.take(rows)
        ways = [trusting(router, floor=None), of_any_length(router), router, trusting(router, floor=np.inf)]
        found = [left_out(way, test, part) for way in ways]
        loss = [log_loss(way.predict_features(part).p_success, test.quality >= HALF) for way in ways]
        print(
            f"| {low:g} to {high:g} | {len(rows)} | {' | '.join(each['trust'] for each in found[:3])} "
            f"| {found[2]['abstained']} | {', '.join(f'{each:.4f}' for each in loss)} |"
        )
        sys.stdout.flush()


def log_loss(p: npt.NDArray[np.float64], success: npt.NDArray[np.bool_]) -> float:
    return float(-np.log(np.where(success, p, 1 - p)).mean())


def shift(folder: Path, only: list[str] | None, n_seeds: int) -> None:
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    tasks = np.array(outcomes.tasks)

    def train(split: Split, seed: int = 0) -> Router:
        run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
        return run.fit(lambda _: None)[0]

    print(f"\n{folder.name}, one task left out: AIQ less the single models' hull\n")
    print("| task | prompts | hull | full trust | trust | AUC full | AUC | mean trust | abstained | in interval |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows, curves = [], []
    for task in only or sorted(set(outcomes.tasks)):
        inside, outside = np.flatnonzero(tasks == task), np.flatnonzero(tasks != task)
        router = train(Split(outside, outside[:0], inside))
        test, test_features = outcomes.take(inside), features.take(inside)
        rows.append(left_out(router, test, test_features))
        curves.append(abstention_curve(router, test, test_features))
        print(f"| {task} | {len(inside)} | {' | '.join(rows[-1].values())} |")
        sys.stdout.flush()
    gains = [float(row["trust"]) for row in rows]
    print(f"\nTrust: least {min(gains):+.4f}, mean {np.mean(gains):+.4f}.")
    print("\n| abstained on | quality | cost, USD per 1,000 |\n|---|---|---|")
    for share, (quality, cost) in zip(SHARES, np.mean(curves, axis=0), strict=True):
        print(f"| {share:.0%} of prompts | {quality:.4f} | {1000 * cost:.4f} |")
    if only is None:
        print(f"\nOn {folder.name}'s own test prompts, mean of {n_seeds} seeds:")
        print("\n| AIQ, full trust | AIQ | abstained |\n|---|---|---|")
        own = []
        for seed in range(n_seeds):
            split = split_prompts(outcomes.prompt_ids, seed=seed)
            row = left_out(train(split, seed), outcomes.take(split.test), features.take(split.test))
            own.append(
                [float(row["hull"]) + float(row[name]) for name in ("full", "trust")] + [float(row["abstained"])]
            )
        print("| " + " | ".join(f"{value:.4f}" for value in np.mean(own, axis=0)) + " |")


def left_out(router: Router, test: Outcomes, features: PromptFeatures) -> dict[str, str]:
    """Return the figures of one task."""
    cost = realised_costs(test, router.catalog)
    singles = Singles(cost.mean(axis=0), test.quality.mean(axis=0))
    hull = aiq(Points(singles.cost_usd, singles.quality), singles)
    table = router.predict_features(features)
    full = trusting(router, floor=None).predict_features(features)
    assert table.trust is not None
    assert table.p_interval is not None
    low, high = np.moveaxis(table.p_interval.mean(axis=0), -1, 0)
    inside = (low <= singles.quality) & (singles.quality <= high)

    def gain(predicted: PredictionTable) -> float:
        return aiq(sweep_frontier(predicted, cost, test.quality), singles) - hull

    return {
        "hull": f"{hull:.4f}",
        "full": f"{gain(full):+.4f}",
        "trust": f"{gain(table):+.4f}",
        "auc_full": f"{mean_auc(full.p_success, test.quality):.4f}",
        "auc": f"{mean_auc(table.p_success, test.quality):.4f}",
        "mean_trust": f"{table.trust.mean():.2f}",
        "abstained": f"{table.abstained.mean():.4f}",
        "interval": f"{inside.mean():.2f}",
    }


def abstention_curve(router: Router, test: Outcomes, features: PromptFeatures) -> list[tuple[float, float]]:
    """Return quality and cost of the default decisions when the router abstains on a share of the prompts."""
    cost, found = realised_costs(test, router.catalog), []
    trust = trusting(router, floor=0.0).predict_features(features).trust
    assert trust is not None
    for share in SHARES:
        floor = np.inf if share == 1 else float(np.quantile(trust, share)) * (share > 0)
        table = trusting(router, floor=floor).predict_features(features)
        rule = router.rule()
        chosen = rule.rank(table, np.ones(cost.shape, dtype=bool))[:, 0]
        rows = np.arange(len(test))
        found.append((float(test.quality[rows, chosen].mean()), float(cost[rows, chosen].mean())))
    return found


def of_any_length(router: Router) -> Router:
    """Return the router with a trust that length does not lower."""
    predictor = router.artifact.predictor
    calibration = replace(predictor.calibration, longest_log_chars=None)
    return replace(router, artifact=replace(router.artifact, predictor=replace(predictor, calibration=calibration)))


def trusting(router: Router, *, floor: float | None) -> Router:
    """Return the router with another trust floor; None for full trust everywhere."""
    router = router if floor is not None else of_any_length(router)
    predictor = router.artifact.predictor
    weights = predictor.calibration.trust_weights
    if floor is None:
        weights, floor = np.array([np.inf, *np.zeros(len(weights) - 1)], dtype=np.float32), 0.0
    calibration = replace(predictor.calibration, trust_weights=weights, trust_floor=floor)
    return replace(router, artifact=replace(router.artifact, predictor=replace(predictor, calibration=calibration)))


if __name__ == "__main__":
    main()
