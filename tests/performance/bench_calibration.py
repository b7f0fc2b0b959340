"""Calibration on held-out prompts (docs/decisions/0006): excess error, log-loss, coverage of the intervals, levels.

The excess is the calibration error above that of a perfectly calibrated predictor on as many outcomes
(`router_model.training.metrics.excess_calibration_error`), overall and for the worst single model and task. Coverage:
the share of (kind of prompts, model) pairs whose number of successes lies inside the central 90 % of what the
interval's spread and chance together allow; kinds are the table's tasks, or clusters of about 50 test prompts. Beside
it, what chance alone would hold of the clusters, and the mean width of the interval.

The level of a model is its mean success on all prompts that it was not trained on. The last columns are the mean error
of the predicted level, of the model's mean on the training prompts, of that mean shrunk towards the mean of all models
(James & Stein 1961), and the error to expect of a mean over as many prompts, ``sqrt(2 p (1 - p) / (pi n))``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_quality import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from interval_coverage import covered

from router_model.features.featuriser import PromptFeatures
from router_model.prediction.calibration import logit
from router_model.prediction.predictor import member_probabilities
from router_model.prediction.uncertainty import Z
from router_model.router import Router
from router_model.training.fitting.uncertainty import kinds_of
from router_model.training.metrics import excess_calibration_error, log_loss
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

COLUMNS = (
    "excess", "worst model", "worst task", "log-loss", "before", "tasks covered", "clusters covered", "by chance alone",
    "width", "level", "training mean", "shrunk mean", "to expect",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro,bfcl")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", default="200,300,500,1000,all", help="numbers of training prompts")
    options = parser.parse_args()
    print(f"| table | training prompts | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for table in options.tables.split(","):
        outcomes, catalog, encoder, features = prepare(options.data / table, "static", None)
        for size in options.sizes.split(","):
            rows = []
            for seed in range(options.seeds):
                split = split_prompts(outcomes.prompt_ids, seed=seed)
                if size != "all" and int(size) > len(split.train):
                    continue
                if size != "all":
                    kept = np.sort(np.random.default_rng(seed).permutation(split.train)[: int(size)])
                    split = Split(kept, split.calibration, split.test)
                path, config = options.data / table / "outcomes.parquet", TrainConfig(seed=seed)
                router, _ = Run(path, outcomes, features, split, catalog, encoder, config).fit(lambda _: None)
                found = figures(router, outcomes.take(split.test), features.take(split.test), seed)
                rows.append((*found, *levels(router, outcomes, features, split)))
            if rows:
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


def coverage(router: Router, test: Outcomes, features: PromptFeatures, seed: int) -> tuple[float, ...]:
    """Return the shares of tasks and clusters covered, of clusters by chance alone, and the intervals' mean width."""
    prediction = router.artifact.predictor.predict(features, quality_bar=0.5)
    p, low, high = prediction.p_success, *np.moveaxis(prediction.p_interval, -1, 0)
    spread = (logit(high) - logit(p)) / Z
    clusters = kinds_of(features.embedding, seed=seed + 100, prompts_per_kind=50)
    tasks = np.unique(test.tasks, return_inverse=True)[1]
    by_task, by_cluster = (covered(p, spread, test.quality, kinds, seed) for kinds in (tasks, clusters))
    by_chance = covered(p, np.zeros_like(spread), test.quality, clusters, seed)
    return by_task, by_cluster, by_chance, float((high - low).mean())


def levels(router: Router, outcomes: Outcomes, features: PromptFeatures, split: Split) -> tuple[float, ...]:
    """Return the mean error of predicted levels, training means and shrunk means, and the error to expect of a mean."""
    rest = np.setdiff1d(np.arange(len(outcomes)), split.train)
    truth, mean = outcomes.quality[rest].mean(axis=0), outcomes.quality[split.train].mean(axis=0)
    predicted = router.predict_features(features.take(rest)).p_success.mean(axis=0)
    noise = mean * (1 - mean) / len(split.train)
    between = max(float(mean.var() - noise.mean()), 0.0)
    shrunk = mean.mean() + (mean - mean.mean()) * between / (between + noise)
    expected = np.sqrt(2 / np.pi * truth * (1 - truth) / len(split.train)).mean()
    return (*(float(np.abs(level - truth).mean()) for level in (predicted, mean, shrunk)), float(expected))


if __name__ == "__main__":
    main()
