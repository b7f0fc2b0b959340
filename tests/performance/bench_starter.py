"""What a starter reaches on tables that it has never seen, beside single models, random choice and the order of prices.

``python tests/performance/bench_starter.py DATA [SAMPLE ...]`` leaves each table of DATA out in turn: the anchors are
fitted on the others. On each SAMPLE (the quickstart's tables) the shipped anchors are measured. Levels are known by an
accuracy that was counted on 400 prompts of the table, or on 100; by published scores (simulated: off by 0.3 log odds,
as decision 0046 found); and by prices alone. Each is drawn five times. All are measured on the other prompts, as AIQ of
the sweep over the value of quality; also where the starter would say that it does not route. The hull is that of the
single models in hindsight. The slope of difficulty is the shipped one.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.features import load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.policy import best_by_value
from router_model.router import Router
from router_model.saved.artifact import Artifact
from router_model.starter import load_anchors, start
from router_model.training.anchors import fit_anchors, read_tables
from router_model.training.metrics import mean_auc
from router_model.training.metrics.frontier import Points, Singles, aiq
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog

Rows = npt.NDArray[np.intp]

DRAWS = 5
SCORE_ERROR = 0.3
VALUES = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 120)])
COLUMNS = ("table", "levels by", "routes", "AUC", "starter", "worst", "hull", "best single", "random", "price order")


def main() -> None:
    """Print a row for each table and source of levels."""
    data, samples = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    shipped = load_anchors()
    slope = 1.0 if shipped.reference is None else shipped.reference.slope
    print(f"slope {slope:.2f}; left out: {shipped.metrics['left_out']}")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    tables = read_tables(data)
    for name, table in tables.items():
        anchors = fit_anchors({other: one for other, one in tables.items() if other != name}, slope=slope)
        report(name, table, Catalog.load(data / name / "catalog.toml"), anchors)
    for path in samples:
        report(f"sample: {path.stem}", read_outcomes(path), Catalog({}), shipped)


def report(name: str, table: Outcomes, catalog: Catalog, anchors: Artifact) -> None:
    """Print the rows of one table."""
    cards = complete_catalog(catalog, table.models, bills=table)
    costs = realised_costs(table, cards)
    features = featurise(table.prompts, load_encoder("static"))
    for how, said in sources().items():
        found = [one_draw(table, costs, features, cards, anchors, said, seed) for seed in range(DRAWS)]
        mean = np.mean([[*each] for each in found], axis=0)
        routes, auc, reached, hull, best, random, order = mean.tolist()
        worst = min(each[2] - each[3] for each in found)
        shown = [f"{value:.4f}" for value in (reached, hull, best, random, order)]
        print(
            f"| {name} | {how} | {routes:.0%} | {auc:.3f} | {shown[0]} ({reached - hull:+.4f}) | {worst:+.4f} | "
            + " | ".join(shown[1:])
            + " |",
            flush=True,
        )


def sources() -> dict[str, Callable[[ModelCard, Any, Any], ModelCard]]:
    """Return what a catalog may say of a model, given its quality on all prompts and a function that counts it."""

    def counted(n: int) -> Callable[[ModelCard, Any, Any], ModelCard]:
        return lambda card, quality, rng: replace(
            card, accuracy=float(np.clip(quality[:n].mean(), 0, 1)), accuracy_prompts=n
        )

    def scored(card: ModelCard, quality: Any, rng: np.random.Generator) -> ModelCard:
        return replace(
            card, scores={"published": float(expit(log_odds_of(quality.mean()) + rng.normal(0, SCORE_ERROR)))}
        )

    return {
        "accuracy on 400": counted(400),
        "accuracy on 100": counted(100),
        "scores": scored,
        "prices": lambda card, quality, rng: card,
    }


def one_draw(
    table: Outcomes,
    costs: npt.NDArray[np.float64],
    features: PromptFeatures,
    cards: Catalog,
    anchors: Artifact,
    said: Callable[[ModelCard, Any, Any], ModelCard],
    seed: int,
) -> Iterator[float]:
    """Return whether it routes, AUC, and AIQ of the starter, the hull, the best, random choice and order of prices."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    graded, rows = order[:400], order[400:]
    quality = table.quality[graded]
    known = {model: said(cards[model], quality[:, column], rng) for column, model in enumerate(table.models)}
    started = start(Catalog(known), anchors=anchors)
    # Also where it does not route, what routing would bring is measured: with the slope of the anchors.
    routing = replace(started.artifact, reference=anchors.reference)
    predicted = Router.assemble(routing, load_encoder("static")).predict_features(features.take(rows)).cautious()
    columns = [predicted.models.index(model) for model in table.models]
    expected, price = predicted.mean_quality[:, columns], predicted.expected_cost_usd[:, columns]
    mine, cost = table.quality[rows], costs[rows]
    singles = Singles(cost.mean(axis=0), mine.mean(axis=0))
    everyone, each = np.ones(mine.shape, dtype=bool), np.arange(len(rows))
    chosen = [best_by_value(expected, price, everyone, success_value_usd=value) for value in VALUES.tolist()]
    reached = Points(
        np.array([cost[each, one].mean() for one in chosen]), np.array([mine[each, one].mean() for one in chosen])
    )
    success = (mine >= np.nanmean(table.quality)).astype(np.float64)
    yield float(started.routes)
    yield float(mean_auc(expected, success))
    yield aiq(reached, singles)
    yield aiq(Points(singles.cost_usd, singles.quality), singles)
    yield float(singles.quality[singles.best])
    yield aiq(Points(np.array([cost.mean()]), np.array([mine.mean()])), singles)
    yield in_order(singles)


def in_order(singles: Singles) -> float:
    """Return the mean height of the path from the cheapest model to the best, through all models in order of cost."""
    order = np.argsort(singles.cost_usd)
    low, high = singles.cost_usd[singles.cheapest], singles.cost_usd[singles.best]
    if high <= low:
        return float(singles.quality[singles.best])
    along = np.linspace(low, high, 2001)
    return float(np.interp(along, singles.cost_usd[order], singles.quality[order]).mean())


if __name__ == "__main__":
    main()
