"""What of difficulty transfers to tables never seen, and what wrong levels cost (docs/decisions/0047).

``python tests/performance/bench_transfer.py DATA [SAMPLE ...]`` prints two tables. First, for simple learners of
difficulty (the share of a table's models that answer a prompt well): the mean AUC over the models of each table that
was left out. Second, for levels that are off by normal errors: AIQ less that of the hull of single models in hindsight,
mean and worst of eight draws on 1,500 prompts, without difficulty and with a slope of 0.3 of standardised difficulty
(by the kernel on surface features). Needs scikit-learn.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from router_model.announced.reference import Reference, log_odds_of
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.policy import best_by_value
from router_model.training.metrics import mean_auc
from router_model.training.metrics.frontier import Points, Singles, aiq
from router_model.training.table.outcomes import read_outcomes

Array = npt.NDArray[np.float64]

KERNEL_PROMPTS, MEASURED, DRAWS = 4_000, 1_500, 8
ERRORS = (0.0, 0.1, 0.2, 0.3, 0.5)
VALUES = np.concatenate([[0.0], np.geomspace(1e-6, 1e2, 50)])


class Table(NamedTuple):
    """A table's prompts and outcomes."""

    surface: Array
    embedding: Array
    quality: Array
    cost: Array

    @property
    def success(self) -> Array:
        """Whether an answer is good: at least the median of graded ones."""
        bar = 0.5 if set(np.unique(self.quality)) <= {0.0, 1.0} else float(np.median(self.quality))
        return (self.quality >= bar).astype(np.float64)


def main() -> None:
    """Print both tables."""
    data, samples = Path(sys.argv[1]), sys.argv[2:]
    known = {path.parent.name: read(path) for path in sorted(data.glob("*/outcomes.parquet"))}
    tables = dict(known)
    if samples:
        parts = [read(Path(name)) for name in samples]
        tables["sample"] = Table(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    print("| learner | " + " | ".join(tables) + " |\n" + "|---" * (len(tables) + 1) + "|")
    for name, learner in LEARNERS.items():
        found = [mean_auc(columns(learned(learner, known, left, table), table), table.success)
                 for left, table in tables.items()]  # fmt: skip
        print(f"| {name} | " + " | ".join(f"{area:.2f}" for area in found) + " |", flush=True)
    print("\n| error | " + " | ".join(tables) + " |\n" + "|---" * (len(tables) + 1) + "|")
    for slope in (1e-6, 0.3):
        for error in ERRORS:
            gaps = [losses(learned(LEARNERS["surface, kernel"], known, left, table), table, slope=slope, error=error)
                    for left, table in tables.items()]  # fmt: skip
            shown = " | ".join(f"{np.mean(each):+.4f} ({np.min(each):+.4f})" for each in gaps)
            print(f"| {error}, slope {slope:.1f} | {shown} |", flush=True)


def read(path: Path) -> Table:
    """Read a table."""
    outcomes = read_outcomes(path)
    features = featurise(outcomes.prompts, load_encoder("static"))
    surface, embedding = (part.astype(np.float64) for part in (features.surface, features.embedding))
    return Table(surface, embedding, outcomes.quality, outcomes.cost_usd)


def learned(learner: Callable[..., Array], known: dict[str, Table], left: str, table: Table) -> Array:
    """Return the difficulty of a table's prompts, learned on the other tables; each table counts the same."""
    others = [one for name, one in known.items() if name != left]
    target = np.concatenate([one.success.mean(axis=1) for one in others])
    weight = np.concatenate([np.full(len(one.quality), 1 / len(one.quality)) for one in others])
    return learner(others, table, target, weight / weight.mean())


def columns(difficulty: Array, table: Table) -> Array:
    """Return the same score for every model."""
    return np.repeat(difficulty[:, None], table.quality.shape[1], axis=1)


def _scaled(others: list[Table], table: Table, kind: str) -> tuple[Array, Array]:
    """Return features of the other tables and of this one, standardised and clipped."""
    rows = {"surface": lambda one: one.surface, "embedding": lambda one: one.embedding}
    chosen: Callable[[Table], Array] = rows.get(kind, lambda one: np.hstack([one.surface, one.embedding]))
    train, mine = np.vstack([chosen(one) for one in others]), chosen(table)
    middle, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    return np.clip((train - middle) / spread, -4, 4), np.clip((mine - middle) / spread, -4, 4)


def ridge(kind: str) -> Callable[..., Array]:
    """Return a ridge regression."""

    def learn(others: list[Table], table: Table, target: Array, weight: Array) -> Array:
        train, mine = _scaled(others, table, kind)
        return np.asarray(Ridge(alpha=300).fit(train, target, sample_weight=weight).predict(mine))

    return learn


def boosted(kind: str) -> Callable[..., Array]:
    """Return LightGBM."""

    def learn(others: list[Table], table: Table, target: Array, weight: Array) -> Array:
        train, mine = _scaled(others, table, kind)
        settings: dict[str, Any] = {
            "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 80, "feature_fraction": 0.5, "seed": 0,
            "verbose": -1, "num_threads": 1,
        }  # fmt: skip
        return np.asarray(lgb.train(settings, lgb.Dataset(train, target, weight=weight), 150).predict(mine))

    return learn


def kernel(kind: str) -> Callable[..., Array]:
    """Return a kernel ridge regression on some prompts, as many of each table."""

    def learn(others: list[Table], table: Table, target: Array, weight: Array) -> Array:
        train, mine = _scaled(others, table, kind)
        n = min(len(train), KERNEL_PROMPTS)
        some = np.random.default_rng(0).choice(len(train), n, replace=False, p=weight / weight.sum())
        machine = KernelRidge(alpha=3, kernel="rbf", gamma=1 / train.shape[1]).fit(train[some], target[some])
        return np.asarray(machine.predict(mine))

    return learn


def length(others: list[Table], table: Table, target: Array, weight: Array) -> Array:
    """Return that shorter prompts are easier."""
    del others, target, weight
    return -table.surface[:, 0]


LEARNERS: dict[str, Callable[..., Array]] = {
    "length": length,
    "surface, ridge": ridge("surface"),
    "surface, LightGBM": boosted("surface"),
    "surface, kernel": kernel("surface"),
    "embedding, ridge": ridge("embedding"),
    "embedding, LightGBM": boosted("embedding"),
    "both, LightGBM": boosted("both"),
}


def losses(difficulty: Array, table: Table, *, slope: float, error: float) -> list[float]:
    """Return AIQ less that of the hull, for draws of the levels' errors."""
    rng = np.random.default_rng(1)
    rows = rng.choice(len(difficulty), min(len(difficulty), MEASURED), replace=False)
    scores = ((difficulty - difficulty.mean()) / difficulty.std())[rows, None]
    reference = Reference(scores.astype(np.float32), slope)
    quality, cost = table.quality[rows], table.cost[rows]
    levels = log_odds_of(np.clip(table.success[rows].mean(axis=0), 0.01, 0.99))
    singles = Singles(cost.mean(axis=0), quality.mean(axis=0))
    hull = aiq(Points(singles.cost_usd, singles.quality), singles)
    price, each = np.broadcast_to(cost.mean(axis=0), cost.shape), np.arange(len(rows))
    everyone, found = np.ones(cost.shape, dtype=bool), []
    for _ in range(DRAWS if error else 1):
        weights, shift = reference.mixture(levels + rng.normal(0, error, len(levels)))
        p = expit(scores @ weights + shift)
        chosen = [best_by_value(p, price, everyone, success_value_usd=value) for value in VALUES.tolist()]
        means = [np.array([matrix[each, one].mean() for one in chosen]) for matrix in (cost, quality)]
        found.append(aiq(Points(*means), singles) - hull)
    return found


if __name__ == "__main__":
    main()
