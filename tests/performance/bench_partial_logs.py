"""What partial logs teach: a few prompts answered by all models, and a log in which one model answered each prompt.

A world has six models of a table. 300 training prompts have the answers of all six. A simple policy (ridge regression
of quality on the embedding, fitted on these 300 prompts) chooses a model for each other training prompt, and in 10 % of
them the model is drawn at random; the propensity is recorded. Routers are trained on the 300 prompts alone, on both
together, and on as many grades as both have, but of fewer prompts with the answers of all models. The truth is known:
all of them are measured on the held-out prompts with the answers of all models. Prints Markdown.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare

from router_model.policy import best_by_value
from router_model.training.fitting.evidence import EvidenceConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.fitting.heads import solve_ridge
from router_model.training.table.outcomes import MATRIX_COLUMNS, Outcomes
from router_model.training.table.split import Split, split_prompts
from router_model.training.table.targets import Targets
from router_model.training.train import Run, TrainConfig

N_MODELS, N_FULL, EPSILON = 6, 300, 0.1
RIDGE = 4.0
VALUE_CALLS = 10  # a success is worth ten calls of the dearest model to the base policy; then it asks several models
MAX_WEIGHT_RATIO = 20.0
WORLDS = ("mmlu_pro 0", "mmlu_pro 1", "zeroeval 0", "bfcl 0")

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class WeightedRun(Run):
    """A run whose rows are weighted by inverse propensity, as they were before docs/decisions/0022."""

    def targets(self) -> Targets:
        targets = super().targets()
        weight = inverse_propensity_weights(self.outcomes.propensity[self.split.train], targets.graded)
        of_bars = np.arange(targets.weight.shape[2]) < targets.n_bars
        factor = np.where(of_bars, weight[:, :, None], 1).astype(np.float32)
        return replace(targets, weight=targets.weight * factor)


@dataclass(frozen=True)
class World:
    """A run on all outcomes, its log, and which training prompts have all answers."""

    run: Run
    logged: Outcomes
    full: Rows

    def arms(self) -> dict[str, Callable[[], Run]]:
        """Return what is compared: the run of each."""
        train, few = self.run.split.train, self.full
        rest = np.setdiff1d(train, few)
        as_many = np.random.default_rng(1).choice(rest, len(rest) // len(self.run.outcomes.models), replace=False)
        log = replace(self.run, outcomes=self.logged)
        alone = replace(log, config=replace(log.config, fit=FitConfig(evidence=EvidenceConfig(sharing=0.0))))
        return {
            "the 300 alone": lambda: self.on(few),
            "and the log, inverse weights": lambda: WeightedRun(*(getattr(alone, name) for name in Run.__slots__)),
            "and the log, no weights": lambda: alone,
            "and the log, models share strength": lambda: log,
            "as many grades, full rows": lambda: self.on(np.sort(np.concatenate([few, as_many]))),
            "full information": lambda: self.run,
        }

    def on(self, rows: Rows) -> Run:
        """Return the run on full answers of some training prompts."""
        return replace(self.run, split=Split(rows, self.run.split.calibration, self.run.split.test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="tables with seeds")
    parser.add_argument("--arms", nargs="*", default=[], help="only the rows with these words")
    options = parser.parse_args()
    worlds = options.worlds.split(",")
    found = [measured(options.data, world, options.arms) for world in worlds]
    print("AUC / log-loss / quality of the default rule over the best single model, points\n")
    print(f"| trained on | {' | '.join(worlds)} |\n|---{'|---' * len(worlds)}|")
    for arm in found[0]:
        print(f"| {arm} | {' | '.join(cells[arm] for cells in found)} |")


def measured(data: Path, name: str, arms: list[str]) -> dict[str, str]:
    """Train and measure each arm of a world."""
    table, seed = name.split()
    world = make_world(data / table, int(seed))
    cells = {}
    for arm, make in world.arms().items():
        if arms and not any(part in arm for part in arms):
            continue
        run = make()
        router, _ = run.fit(lambda _: None)
        found = world.run.measure(router)  # with the answers of all models
        best = next(single for single in found.singles if single.label == found.best_single)
        points = 100 * (found.router.quality - best.quality)
        cells[arm] = f"{found.metrics['auc']:.4f} / {found.metrics['log_loss']:.4f} / {points:+.2f}"
        print(name, arm, cells[arm], file=sys.stderr, flush=True)
    return cells


def make_world(folder: Path, seed: int) -> World:
    """Choose six models, evenly by their rank in quality, and log one of them for each prompt but 300."""
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    split = split_prompts(outcomes.prompt_ids, seed=seed)
    rank = np.argsort(outcomes.quality[split.train].mean(axis=0))
    picked = rank[np.linspace(0, len(rank) - 1, N_MODELS).round().astype(int)]
    outcomes = outcomes.select_models([outcomes.models[column] for column in sorted(picked)])
    rng = np.random.default_rng(seed)
    full = np.sort(rng.choice(split.train, N_FULL, replace=False))
    rest = np.setdiff1d(split.train, full)
    chosen = base_policy(outcomes, features.embedding, full)[rest]
    tried = np.where(rng.random(len(rest)) < EPSILON, rng.integers(N_MODELS, size=len(rest)), chosen)
    known = np.ones(outcomes.quality.shape, dtype=bool)
    known[rest] = False
    known[rest, tried] = True
    print(folder.name, seed, "logged", np.bincount(tried, minlength=N_MODELS).tolist(), file=sys.stderr, flush=True)
    propensity = np.full(known.shape, np.nan)
    propensity[rest, tried] = EPSILON / N_MODELS + (1 - EPSILON) * (tried == chosen)
    kept = {name: np.where(known, getattr(outcomes, name), np.nan) for name in MATRIX_COLUMNS}
    logged = replace(outcomes, **{**kept, "propensity": propensity})
    run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
    return World(run, logged, full)


def base_policy(outcomes: Outcomes, embedding: npt.NDArray[np.float32], full: Rows) -> Rows:
    """Return the choices for all prompts of a policy that was fitted on some."""
    quality, cost = outcomes.quality[full], outcomes.cost_usd[full].mean(axis=0)
    centre = embedding[full].mean(axis=0)
    target = (quality - quality.mean(axis=0)).astype(np.float32)
    weights = solve_ridge(embedding[full] - centre, target, np.ones_like(target), penalty=RIDGE)
    expected = quality.mean(axis=0) + (embedding - centre).astype(float) @ weights
    costs = np.broadcast_to(cost, expected.shape)
    eligible = np.ones(expected.shape, dtype=bool)
    return best_by_value(expected, costs, eligible, success_value_usd=VALUE_CALLS * float(cost.max()))


def inverse_propensity_weights(propensity: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """Weigh known outcomes by one over their propensity, capped at 20 times the median, with mean 1."""
    weight = np.where(known, 1 / np.nan_to_num(propensity, nan=1.0), 0.0)
    weight = np.minimum(weight, MAX_WEIGHT_RATIO * np.median(weight[known]))
    return np.asarray(weight / weight[known].mean())


if __name__ == "__main__":
    main()
