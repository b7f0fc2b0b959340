"""Calibration on held-out prompts (docs/decisions/0006): excess error, log-loss, coverage of the intervals.

The excess is the calibration error above that of a perfectly calibrated predictor on as many outcomes
(`router_model.training.metrics.excess_calibration_error`), overall and for the worst single model and task. Coverage:
the share of (kind of prompts, model) pairs, kinds being clusters of about 50 test prompts, whose number of successes
lies inside the central 90 % of what the interval's spread and chance together allow; and what chance alone would hold.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_quality import prepare

from router_model.features.featuriser import PromptFeatures
from router_model.prediction.calibration import logit, sigmoid
from router_model.prediction.predictor import member_probabilities
from router_model.router import Router
from router_model.training.fitting.uncertainty import kinds_of
from router_model.training.metrics import excess_calibration_error, log_loss
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

N_DRAWS = 400
COLUMNS = ("excess", "worst model", "worst task", "log-loss", "before", "covered", "by chance alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", default="200,500,1000,all", help="numbers of training prompts")
    options = parser.parse_args()
    print(f"| table | training prompts | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for table in options.tables.split(","):
        outcomes, catalog, encoder, features = prepare(options.data / table, "static", None)
        for size in options.sizes.split(","):
            rows = []
            for seed in range(options.seeds):
                split = split_prompts(outcomes.prompt_ids, seed=seed)
                if size != "all":
                    kept = np.sort(np.random.default_rng(seed).permutation(split.train)[: int(size)])
                    split = Split(kept, split.calibration, split.test)
                path, config = options.data / table / "outcomes.parquet", TrainConfig(seed=seed)
                router, _ = Run(path, outcomes, features, split, catalog, encoder, config).fit(lambda _: None)
                rows.append(figures(router, outcomes.take(split.test), features.take(split.test), seed))
            print(f"| {table} | {size} | {' | '.join(f'{value:.4f}' for value in np.mean(rows, axis=0))} |")
            sys.stdout.flush()


def figures(router: Router, test: Outcomes, features: PromptFeatures, seed: int) -> tuple[float, ...]:
    p, quality, tasks = router.predict_features(features).p_success, test.quality, np.array(test.tasks)
    models = [excess_calibration_error(p[:, [m]], quality[:, [m]]) for m in range(len(router.models))]
    worst_task = max(excess_calibration_error(p[tasks == task], quality[tasks == task]) for task in set(test.tasks))
    return (
        excess_calibration_error(p, quality),
        max(models),
        worst_task,
        log_loss(p, quality),
        log_loss(blended(router, features), quality),
        *coverage(router, test, features, seed),
    )


def blended(router: Router, features: PromptFeatures) -> np.ndarray:
    """Return the probabilities before calibration, shape (n, n_models)."""
    predictor = router.artifact.predictor
    evidence = predictor.evidence_model.evidence(features)
    return predictor.blend.combine(member_probabilities(evidence, predictor.boosted(evidence, features)))[:, :, 0]


def coverage(router: Router, test: Outcomes, features: PromptFeatures, seed: int) -> tuple[float, float]:
    """Return the share of pairs covered by interval and chance, and by chance alone."""
    rng = np.random.default_rng(seed)
    prediction = router.artifact.predictor.predict(features, quality_bar=0.5)
    kinds = kinds_of(features.embedding, seed=seed + 100, prompts_per_kind=50)
    spread = router.artifact.predictor.uncertainty.spread(prediction.p_success, prediction.trust)
    covered = []
    for width in (spread, np.zeros_like(spread)):
        inside = []
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            if len(rows) < 20:
                continue
            deviation = rng.normal(size=(N_DRAWS, 1, len(router.models))) * width[rows]
            rate = sigmoid((logit(prediction.p_success[rows]) + deviation).astype(np.float32))
            succeeded = (rng.random(rate.shape) < rate).sum(axis=1)
            # Ties are split at random, so that a perfect prediction covers exactly nine in ten.
            below = (succeeded < test.quality[rows].sum(axis=0)).mean(axis=0)
            equal = (succeeded == test.quality[rows].sum(axis=0)).mean(axis=0)
            rank = below + rng.random(below.shape) * equal
            inside.append((rank >= 0.05) & (rank <= 0.95))
        covered.append(float(np.mean(inside)))
    return covered[0], covered[1]


if __name__ == "__main__":
    main()
