"""What a starter reaches on tables that it has never seen, beside single models, random choice and the order of prices.

``python tests/performance/bench_starter.py DATA [SAMPLE ...]`` leaves each table of DATA out in turn: the anchors are
fitted on the others. On each SAMPLE (the quickstart's tables) the shipped anchors are measured. Levels are known by an
accuracy that was counted on 1,000 prompts of the table, on 400 or on 100; by published scores (simulated: off by 0.3
log odds, as decision 0046 found); and by prices alone. Each is drawn eight times. All are measured on the other
prompts, as AIQ of the sweep over the value of quality; also in draws where the starter says that it does not route. The
hull is that of the single models in hindsight. The slope of difficulty is the shipped one.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog
from router_model.features import load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.policy import best_by_value
from router_model.prediction.predictor import Prediction, Predictor
from router_model.router import Router
from router_model.saved.artifact import Artifact
from router_model.starter import load_anchors, start
from router_model.training.anchors import fit_anchors, read_tables
from router_model.training.metrics import mean_auc
from router_model.training.metrics.frontier import Points, Singles, aiq
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog

Float64Array = npt.NDArray[np.float64]

DRAWS = 8
N_GRADED = {"accuracy on 1000": 1000}  # prompts that are not measured on; 400 where nothing is said
SOURCES = ("accuracy on 1000", "accuracy on 400", "accuracy on 100", "scores", "prices")
SCORE_ERROR = 0.3
VALUES = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 120)])
COLUMNS = (
    "table", "levels by", "routes", "AUC", "routing", "worst where it routes", "worst of all", "hull", "best single",
    "random", "price order",
)  # fmt: skip


class Row(NamedTuple):
    """One draw: whether it routes, AUC, and AIQ of routing, the hull, the best model, chance, and price order."""

    routes: float
    auc: float
    starter: float
    hull: float
    best: float
    random: float
    in_order: float


class Remembering:
    """A predictor that remembers what it said: the anchors say the same of a prompt in each draw."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self._said = predictor, dict[bytes, Prediction]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(self, features: PromptFeatures, *, quality_bar: float) -> Prediction:
        """Predict as the predictor does; all calls have the same bar."""
        key = features.embedding.tobytes()
        if key not in self._said:
            self._said[key] = self._predictor.predict(features, quality_bar=quality_bar)
        return self._said[key]


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
    anchors = replace(anchors, predictor=cast("Predictor", Remembering(anchors.predictor)))
    for how in SOURCES:
        draws = [one_draw(table, features, costs, how=how, cards=cards, anchors=anchors, seed=seed)
                 for seed in range(DRAWS)]  # fmt: skip
        mean = Row(*np.mean(draws, axis=0).tolist())
        gaps = [draw.starter - draw.hull for draw in draws]
        routed = [gap for gap, draw in zip(gaps, draws, strict=True) if draw.routes]
        others = " | ".join(f"{value:.4f}" for value in mean[3:])
        print(
            f"| {name} | {how} | {len(routed)} of {DRAWS} | {mean.auc:.3f} | {mean.starter:.4f} "
            f"({mean.starter - mean.hull:+.4f}) | {f'{min(routed):+.4f}' if routed else ''} | {min(gaps):+.4f} | "
            f"{others} |",
            flush=True,
        )


def cards_by(how: str, cards: Catalog, quality: Float64Array, rng: np.random.Generator) -> Catalog:
    """Return what a catalog says of the models.

    Parameters
    ----------
    how : one of `SOURCES`
    quality : shape (n_graded, n_models), of prompts that are not measured on
    """
    known = {}
    for model, mine in zip(cards, quality.T, strict=True):
        known[model] = cards[model]
        if how.startswith("accuracy"):
            n = int(how.rsplit(maxsplit=1)[-1])
            known[model] = replace(cards[model], accuracy=float(mine[:n].mean()), accuracy_prompts=n)
        elif how == "scores":
            published = log_odds_of(mine.mean()) + rng.normal(0, SCORE_ERROR)
            known[model] = replace(cards[model], scores={"published": float(expit(published))})
    return Catalog(known)


def one_draw(
    table: Outcomes,
    features: PromptFeatures,
    costs: Float64Array,
    *,
    how: str,
    cards: Catalog,
    anchors: Artifact,
    seed: int,
) -> Row:
    """Measure one draw of graded prompts, on the others."""
    rng, encoder = np.random.default_rng(seed), load_encoder("static")
    order, n_graded = rng.permutation(len(table)), N_GRADED.get(how, 400)
    rows = order[n_graded:]
    started = start(cards_by(how, cards, table.quality[order[:n_graded]], rng), anchors=anchors)
    # What routing would bring is measured also where it does not route: with the slope of the anchors.
    routing = Router.assemble(replace(started.artifact, reference=anchors.reference), encoder)
    predicted = routing.predict_features(features).cautious()
    cells = np.ix_(rows, [predicted.models.index(model) for model in table.models])
    expected, price = predicted.mean_quality[cells], predicted.expected_cost_usd[cells]
    mine, cost = table.quality[rows], costs[rows]
    singles = Singles(cost.mean(axis=0), mine.mean(axis=0))
    everyone, each = np.ones(mine.shape, dtype=bool), np.arange(len(rows))
    chosen = [best_by_value(expected, price, everyone, success_value_usd=value) for value in VALUES.tolist()]
    reached = Points(
        np.array([cost[each, one].mean() for one in chosen]), np.array([mine[each, one].mean() for one in chosen])
    )
    return Row(
        routes=float(started.routes),
        auc=mean_auc(expected, (mine >= np.nanmean(table.quality)).astype(np.float64)),
        starter=aiq(reached, singles),
        hull=aiq(Points(singles.cost_usd, singles.quality), singles),
        best=float(singles.quality[singles.best]),
        random=aiq(Points(np.array([cost.mean()]), np.array([mine.mean()])), singles),
        in_order=in_order(singles),
    )


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
