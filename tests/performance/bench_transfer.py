"""What of difficulty transfers to tables never seen, and what wrong levels cost (docs/decisions/0047).

``python tests/performance/bench_transfer.py DATA [SAMPLE ...]`` prints two tables, of at most 2,500 prompts a public
table. First, for learners of difficulty (the share of a table's models that answer a prompt well): the mean AUC over
the models of each table that was left out. Of the SAMPLEs nothing is learned. Second, for levels that are off by normal
errors: AIQ less that of the hull of single models in hindsight, mean and worst of eight draws on 1,500 prompts. Levels
alone decide (slope 0), or difficulty by the anchors, too (slope 0.3 of standardised difficulty), or difficulty that was
shuffled among the prompts. Needs scikit-learn.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from router_model.announced.reference import Reference, log_odds_of
from router_model.features import load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.policy import best_by_value
from router_model.saved.artifact import Artifact
from router_model.training.anchors import anchor_log_odds, fit_anchors, read_tables
from router_model.training.metrics import mean_auc
from router_model.training.metrics.frontier import Points, Singles, aiq
from router_model.training.table.outcomes import Outcomes, read_outcomes

Array = npt.NDArray[np.float64]
Learner = Callable[[list["Table"], "Table"], Array]
"""Learns difficulty on the first tables, which count the same; returns scores of the other one's prompts."""

KERNEL_PROMPTS, MEASURED, DRAWS = 2_000, 1_500, 8
ERRORS = (0.0, 0.1, 0.2, 0.3, 0.5)
SLOPE = 0.3
VALUES = np.concatenate([[0.0], np.geomspace(1e-6, 1e2, 50)])


@dataclass(frozen=True, eq=False)
class Table:
    """A table's prompts and outcomes."""

    outcomes: Outcomes

    @cached_property
    def features(self) -> PromptFeatures:
        """Of the prompts; computed once."""
        return featurise(self.outcomes.prompts, load_encoder("static"))

    @property
    def success(self) -> Array:
        """Whether an answer is good: at least the median of graded ones."""
        quality = self.outcomes.quality
        bar = 0.5 if set(np.unique(quality)) <= {0.0, 1.0} else float(np.median(quality))
        return (quality >= bar).astype(np.float64)

    def columns(self, kind: str) -> Array:
        """Return features of a kind: surface, embedding or both."""
        parts = {"surface": self.features.surface, "embedding": self.features.embedding}
        return np.hstack([part for name, part in parts.items() if kind in (name, "both")]).astype(np.float64)


def main() -> None:
    """Print both tables."""
    known = {name: Table(outcomes) for name, outcomes in read_tables(Path(sys.argv[1])).items()}
    samples = {Path(name).stem: Table(read_outcomes(Path(name))) for name in sys.argv[2:]}
    tables = known | samples
    heading = " | ".join(tables) + " |\n" + "|---" * (len(tables) + 1) + "|"
    print(f"| learner | {heading}")
    found: dict[str, Array] = {}
    for name, learner in LEARNERS.items():
        found = {left: learner([one for other, one in known.items() if other != left], table)
                 for left, table in tables.items()}  # fmt: skip
        areas = (mean_auc(same_for_all(found[left], table), table.success) for left, table in tables.items())
        print(f"| {name} | " + " | ".join(f"{area:.2f}" for area in areas) + " |", flush=True)
    print(f"\n| levels | {heading}")
    for kind, slope, errors in (
        ("no difficulty", 1e-6, ERRORS),
        ("difficulty", SLOPE, ERRORS),
        ("shuffled", SLOPE, ERRORS[:1]),
    ):
        for error in errors:
            gaps = (losses(found[left], table, slope=slope, error=error, shuffled=kind == "shuffled")
                    for left, table in tables.items())  # fmt: skip
            shown = " | ".join(f"{np.mean(each):+.4f} ({np.min(each):+.4f})" for each in gaps)
            print(f"| {kind}, off by {error:.1f} | {shown} |", flush=True)


def same_for_all(difficulty: Array, table: Table) -> Array:
    """Return the same score for every model."""
    return np.repeat(difficulty[:, None], len(table.outcomes.models), axis=1)


def _target(others: list[Table]) -> tuple[Array, Array]:
    """Return the difficulty of the tables' prompts, and weights that make each table count the same."""
    weight = np.concatenate([np.full(len(one.outcomes), 1 / len(one.outcomes)) for one in others])
    return np.concatenate([one.success.mean(axis=1) for one in others]), weight / weight.mean()


def _scaled(others: list[Table], table: Table, kind: str) -> tuple[Array, Array]:
    """Return features of the other tables and of this one, standardised and clipped."""
    train, mine = np.vstack([one.columns(kind) for one in others]), table.columns(kind)
    middle, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    return np.clip((train - middle) / spread, -4, 4), np.clip((mine - middle) / spread, -4, 4)


def ridge(kind: str) -> Learner:
    """Return a ridge regression."""

    def learn(others: list[Table], table: Table) -> Array:
        (train, mine), (target, weight) = _scaled(others, table, kind), _target(others)
        return np.asarray(Ridge(alpha=300).fit(train, target, sample_weight=weight).predict(mine))

    return learn


def boosted(kind: str) -> Learner:
    """Return LightGBM."""

    def learn(others: list[Table], table: Table) -> Array:
        (train, mine), (target, weight) = _scaled(others, table, kind), _target(others)
        settings: dict[str, Any] = {
            "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 80, "feature_fraction": 0.5, "seed": 0,
            "verbose": -1, "num_threads": 1,
        }  # fmt: skip
        return np.asarray(lgb.train(settings, lgb.Dataset(train, target, weight=weight), 150).predict(mine))

    return learn


def kernel(kind: str) -> Learner:
    """Return a kernel ridge regression on some prompts, as many of each table."""

    def learn(others: list[Table], table: Table) -> Array:
        (train, mine), (target, weight) = _scaled(others, table, kind), _target(others)
        n = min(len(train), KERNEL_PROMPTS)
        some = np.random.default_rng(0).choice(len(train), n, replace=False, p=weight / weight.sum())
        machine = KernelRidge(alpha=3, kernel="rbf", gamma=1 / train.shape[1]).fit(train[some], target[some])
        return np.asarray(machine.predict(mine))

    return learn


def length(others: list[Table], table: Table) -> Array:
    """Return that shorter prompts are easier."""
    del others
    return -table.columns("surface")[:, 0]


@cache
def fitted(*tables: Table) -> Artifact:
    """Return anchors of tables; those of all tables serve every sample."""
    return fit_anchors({str(k): one.outcomes for k, one in enumerate(tables)}, slope=1.0)


def anchors(others: list[Table], table: Table) -> Array:
    """Return what the ordinary predictor says, fitted on anchors."""
    return np.asarray(anchor_log_odds(fitted(*others), table.outcomes).mean(axis=1))


LEARNERS: dict[str, Learner] = {
    "length of the prompt alone (shorter is easier)": length,
    "surface, ridge": ridge("surface"),
    "surface, LightGBM": boosted("surface"),
    "surface, Gaussian kernel": kernel("surface"),
    "embedding, ridge": ridge("embedding"),
    "embedding, LightGBM": boosted("embedding"),
    "surface and embedding, LightGBM": boosted("both"),
    "the ordinary predictor on anchors": anchors,  # the last: the second table is by it
}


def losses(difficulty: Array, table: Table, *, slope: float, error: float, shuffled: bool) -> list[float]:
    """Return AIQ less that of the hull, for draws of the levels' errors (and of the order, if shuffled)."""
    rng = np.random.default_rng(1)
    rows = rng.choice(len(difficulty), min(len(difficulty), MEASURED), replace=False)
    scores = ((difficulty - difficulty.mean()) / difficulty.std())[rows, None]
    reference = Reference(scores.astype(np.float32), slope)
    quality, cost = table.outcomes.quality[rows], table.outcomes.cost_usd[rows]
    levels = log_odds_of(np.clip(table.success[rows].mean(axis=0), 0.01, 0.99))
    singles = Singles(cost.mean(axis=0), quality.mean(axis=0))
    hull = aiq(Points(singles.cost_usd, singles.quality), singles)
    price, each = np.broadcast_to(cost.mean(axis=0), cost.shape), np.arange(len(rows))
    everyone, found = np.ones(cost.shape, dtype=bool), []
    for _ in range(DRAWS if error or shuffled else 1):
        weights, shift = reference.mixture(levels + rng.normal(0, error, len(levels)))
        p = expit((rng.permutation(scores) if shuffled else scores) @ weights + shift)
        chosen = [best_by_value(p, price, everyone, success_value_usd=value) for value in VALUES.tolist()]
        means = [np.array([matrix[each, one].mean() for one in chosen]) for matrix in (cost, quality)]
        found.append(aiq(Points(*means), singles) - hull)
    return found


if __name__ == "__main__":
    main()
