"""The blend beside its members and beside plain ridge regression, on small tables of two models (docs/decisions/0025).

    python tests/performance/bench_members.py DATA --tables zeroeval,mmlu_pro,bfcl,zeroeval:gsm

Draws pairs of models and 780 training prompts of each table, or of one task of it, trains, and prints means over pairs
and seeds on the table's test prompts: AUC, log-loss, AIQ (expected costs are the models' mean costs in training) and
how often each is ahead of the router in AUC. The ridge regresses success on the embedding, one for each model, with the
penalty by leave-one-out (scikit-learn's RidgeCV).
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from bench_quality import prepare
from sklearn.linear_model import RidgeCV

from router_model.features.featuriser import PromptFeatures
from router_model.prediction.predictor import member_probabilities
from router_model.training.benchmark.method import sweep
from router_model.training.fitting.fit import FitConfig, fit_predictor
from router_model.training.measuring.operating_point import success_values
from router_model.training.metrics import Points, Singles, aiq, log_loss, mean_auc
from router_model.training.table.costs import fill_tokens, realised_costs
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import assign_folds, split_prompts
from router_model.training.table.targets import build_targets

PENALTIES = np.geomspace(0.1, 100, 13)
SOLVABLE = (0.1, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="mmlu_pro,zeroeval,bfcl,zeroeval:gsm,mmlu_pro:math")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=780)
    options = parser.parse_args()
    print("| table | predictor | AUC | log-loss | AIQ | ahead in AUC |\n|---|---|---|---|---|---|")
    for named in options.tables.split(","):
        table, _, task = named.partition(":")
        outcomes, catalog, _, features = prepare(options.data / table, "static", None)
        outcomes = fill_tokens(outcomes, catalog, features.n_input_tokens)
        if task:
            rows = np.flatnonzero(np.array(outcomes.tasks) == task)
            outcomes, features = outcomes.take(rows), features.take(rows)
        solved = outcomes.quality.mean(axis=0)
        models = [m for m, share in zip(outcomes.models, solved, strict=True) if SOLVABLE[0] < share < SOLVABLE[1]]
        pairs = list(itertools.combinations(models, 2))
        found: dict[str, list[tuple[float, ...]]] = {}
        for pair, seed in itertools.product(
            np.random.default_rng(0).permutation(len(pairs))[: options.pairs], range(options.seeds)
        ):
            two = outcomes.select_models(pairs[pair])
            cost = realised_costs(two, catalog)
            for name, figures in compare(two, features, cost, options.prompts, seed).items():
                found.setdefault(name, []).append(figures)
        ours = np.array(found["router"])
        for name, rows_found in found.items():
            values = np.array(rows_found)
            ahead = f"{(values[:, 0] > ours[:, 0]).sum()} of {len(ours)}"
            print(f"| {named} | {name} | {' | '.join(f'{v:.4f}' for v in values.mean(axis=0))} | {ahead} |", flush=True)


def compare(
    outcomes: Outcomes, features: PromptFeatures, cost: np.ndarray, n_prompts: int, seed: int
) -> dict[str, tuple[float, ...]]:
    """Train on some prompts; return AUC, log-loss and AIQ on test prompts of the router, its members and ridge."""
    split = split_prompts(outcomes.prompt_ids, seed=seed)
    rows = np.sort(np.random.default_rng(seed).permutation(split.train)[:n_prompts])
    train, test = features.take(rows), features.take(split.test)
    predictor, _ = fit_predictor(
        train,
        build_targets(outcomes, (0.5,), rows).take(rows),
        outcomes.models,
        folds=assign_folds([outcomes.prompt_ids[row] for row in rows], seed=seed),
        tasks=[outcomes.tasks[row] for row in rows],
        config=FitConfig(),
        seed=seed,
        advance=lambda _: None,
    )
    evidence = predictor.evidence_model.evidence(test)
    members = member_probabilities(evidence, predictor.boosted(evidence, test))[:, :, 0]
    ridge = [
        RidgeCV(alphas=PENALTIES).fit(train.embedding, quality).predict(test.embedding)
        for quality in outcomes.quality[rows].T
    ]
    predicted = {"router": predictor.predict(test, quality_bar=0.5).p_success}
    predicted |= {name: members[..., column] for column, name in enumerate(predictor.blend.members)}
    predicted["ridge"] = np.stack(ridge, axis=1)
    quality, paid, expected = outcomes.quality[split.test], cost[split.test], cost[rows].mean(axis=0)
    return {name: figures(np.clip(p, 0.005, 0.995), quality, paid, expected) for name, p in predicted.items()}


def figures(p: np.ndarray, quality: np.ndarray, cost: np.ndarray, expected_cost: np.ndarray) -> tuple[float, ...]:
    expected = np.broadcast_to(expected_cost, p.shape)
    chosen = sweep(p.astype(float), expected, success_values(expected))
    rows = np.arange(len(p))
    points = Points(cost[rows, chosen].mean(axis=1), quality[rows, chosen].mean(axis=1))
    singles = Singles(cost.mean(axis=0), quality.mean(axis=0))
    return mean_auc(p, quality), log_loss(p, quality), aiq(points, singles)


if __name__ == "__main__":
    main()
