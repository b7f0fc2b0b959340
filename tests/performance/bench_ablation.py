"""What each part of the predictor and the default rule is worth (docs/decisions/0001 and 0002).

Blinds one kind of features at a time (all zeros, so nothing can be learned from it), measures every member of the
blend alone, and sweeps both rules of `router_model.policy`. Means over seeds on the test prompts.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare

from router_model.features import SURFACE_NAMES
from router_model.features.featuriser import PromptFeatures
from router_model.features.request import REQUEST_NAMES
from router_model.policy import rank_by_threshold
from router_model.router import Router
from router_model.training.measuring.evaluate import sweep_frontier
from router_model.training.metrics import Points, Singles, aiq, log_loss, mean_auc
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig

TOOLS = len(SURFACE_NAMES) + np.arange(REQUEST_NAMES.index("log_steps"))


def without(features: PromptFeatures, columns: npt.NDArray[np.intp]) -> PromptFeatures:
    surface = features.surface.copy()
    surface[:, columns] = 0
    return replace(features, surface=surface)


BLINDED: dict[str, Callable[[PromptFeatures], PromptFeatures]] = {
    "all features": lambda features: features,
    "no surface": lambda features: replace(features, surface=np.zeros_like(features.surface)),
    "no embedding": lambda features: replace(features, embedding=np.zeros_like(features.embedding)),
    "no tools": lambda features: without(features, TOOLS),
    "number of tools alone": lambda features: without(features, TOOLS[1:]),
    "no types of parameters": lambda features: without(features, TOOLS[4:10]),
    "no bag": lambda features: replace(features, pieces=[ids[:0] for ids in features.pieces]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default=",".join(BLINDED), help="what is blinded, of: %(default)s")
    options = parser.parse_args()
    for table in options.tables.split(","):
        ablate(options.data / table, options.seeds, options.only.split(","))


def ablate(folder: Path, n_seeds: int, labels: Sequence[str]) -> None:
    """Print the ablation of one table."""
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    print(f"\n{folder.name}: AUC, log-loss, AIQ (value rule), AIQ (threshold rule); mean of {n_seeds} seeds")
    for label in labels:
        blind = BLINDED[label]
        rows, members = [], {}
        for seed in range(n_seeds):
            split = split_prompts(outcomes.prompt_ids, seed=seed)
            path, config = folder / "outcomes.parquet", TrainConfig(seed=seed)
            router, _ = Run(path, outcomes, blind(features), split, catalog, encoder, config).fit(lambda _: None)
            test, test_features = outcomes.take(split.test), blind(features).take(split.test)
            rows.append(measure(router, test, test_features))
            for name, values in member_metrics(router, test, test_features).items():
                members.setdefault(name, []).append(values)
        show(label, rows)
        if label == "all features":
            for name, values in members.items():
                show(f"  {name} alone", values)


def measure(router: Router, test: Outcomes, features: PromptFeatures) -> tuple[float, ...]:
    table = router.predict_features(features)
    cost = realised_costs(test, router.catalog)
    singles = Singles(cost.mean(axis=0), test.quality.mean(axis=0))
    rows, eligible = np.arange(len(test)), np.ones(cost.shape, dtype=bool)
    thresholds = []
    for threshold in np.linspace(0, 1, 201):
        ranked = rank_by_threshold(table.p_success, table.expected_cost_usd, eligible, threshold=float(threshold))
        chosen = ranked[:, 0]
        thresholds.append((cost[rows, chosen].mean(), test.quality[rows, chosen].mean()))
    return (
        mean_auc(table.p_success, test.quality),
        log_loss(table.p_success, test.quality),
        aiq(sweep_frontier(table, cost, test.quality), singles),
        aiq(Points(*np.array(thresholds).T), singles),
    )


def member_metrics(router: Router, test: Outcomes, features: PromptFeatures) -> dict[str, tuple[float, ...]]:
    model = router.artifact.predictor.evidence_model
    evidence = model.evidence(features)
    alone = {name: evidence.values[:, :, 0, kind] for kind, name in enumerate(evidence.names)}
    alone["record"] = np.broadcast_to(model.bank.base[:, 0], test.quality.shape)
    return {
        name: (mean_auc(p, test.quality), log_loss(np.clip(p, 0.02, 0.98), test.quality)) for name, p in alone.items()
    }


def show(label: str, rows: list[tuple[float, ...]]) -> None:
    print(f"| {label} | {' | '.join(f'{value:.4f}' for value in np.mean(rows, axis=0))} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
