"""How many paid calls it saves to ask only contenders: a replay of full tables.

Three ways to spend the same number of calls on the training prompts: prompts in random order with all models, random
pairs of prompt and model, and `router_model.training.contenders`: 40 prompts with all models, and then prompts with the
contenders of their grades. Each line is the AIQ on the held-out prompts,
with the answers of all models, after so many calls, and what the calls cost; means over seeds. "Calls saved" is against
the way beside it: how many fewer calls reach the AIQ that it has after so many, by interpolation.

``--learner kernel`` measures by the kernel machine of the evidence alone, a hundred times faster than ``router``, the
whole of the training.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare
from threadpoolctl import threadpool_limits

from router_model.features import BagVocabulary
from router_model.prediction.evidence import Bank
from router_model.prediction.kernel import Kernel, SurfaceScale, by_feature
from router_model.training.contenders import FIRST_PROMPTS, Contenders
from router_model.training.fitting.evidence import overall_record
from router_model.training.fitting.kernel import fit_weights, kernel_matrix
from router_model.training.measuring.evaluate import sweep
from router_model.training.metrics import Points, Singles, aiq
from router_model.training.table.outcomes import MATRIX_COLUMNS
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

PROMPTS = (60, 120, 240, 480, 960)
"""The numbers of calls are these times the number of models."""
MAX_PROMPTS = 2500  # of a table, to keep the kernel small

Mask = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Replay:
    """A table whose outcomes are shown as they are asked for; `rows` are the training prompts, in the order to ask."""

    run: Run
    rows: Rows
    rng: np.random.Generator

    @classmethod
    def of(cls, folder: Path, seed: int) -> "Replay":
        outcomes, catalog, encoder, features = prepare(folder, "static", None)
        split, rng = split_prompts(outcomes.prompt_ids, seed=seed), np.random.default_rng(seed)
        run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
        return cls(run, rng.permutation(split.train)[:MAX_PROMPTS], rng)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.run.outcomes.models)

    def shown(self, known: Mask, name: str) -> Float64Array:
        """Return the known values of a column of the table, shape (n_rows, n_models), else NaN."""
        return np.where(known, getattr(self.run.outcomes, name)[self.rows], np.nan)

    def by_router(self, known: Mask) -> float:
        """Train a router on the known outcomes and return its AIQ."""
        asked = known.any(axis=1)
        everything = np.zeros(self.run.outcomes.quality.shape, dtype=bool)
        everything[self.rows] = known
        kept = {n: np.where(everything, getattr(self.run.outcomes, n), np.nan) for n in MATRIX_COLUMNS}
        split = self.run.split
        few = Split(np.sort(self.rows[asked]), split.calibration, split.test)
        router, _ = replace(self.run, outcomes=replace(self.run.outcomes, **kept), split=few).fit(lambda _: None)
        return float(self.run.measure(router).metrics["aiq"])


@dataclass(frozen=True)
class KernelMachine:
    """Predicts success and cost with the kernel machine alone; the kernel of a replay is computed once."""

    replay: Replay
    matrix: npt.NDArray[np.float32]

    @classmethod
    def of(cls, replay: Replay) -> "KernelMachine":
        n, features = len(replay.rows), replay.run.features
        both = features.take(np.concatenate([replay.rows, replay.run.split.test]))
        vocabulary = BagVocabulary.fit(both.take(np.arange(n)).pieces, min_prompts=5, max_terms=200_000)
        scale, bags = SurfaceScale.of(both.surface[:n]), vocabulary.transform(both.pieces).vectors
        return cls(replay, kernel_matrix(Kernel(), both.embedding, bags, by_feature(scale.form(both.surface))))

    def aiq(self, known: Mask) -> float:
        outcomes, n, test = self.replay.run.outcomes, len(self.replay.rows), self.replay.run.split.test
        asked = np.flatnonzero(known.any(axis=1))
        tokens = self.replay.run.features.n_input_tokens[:, None] + 50.0
        rate = np.log(np.maximum(outcomes.cost_usd, 1e-9) / tokens)[self.replay.rows]
        mean_rate = np.nanmean(np.where(known, rate, np.nan), axis=0)
        quality = self.replay.shown(known, "quality")
        outcome = np.stack([np.nan_to_num(quality), np.where(known, rate - mean_rate, 0)], axis=2)[asked]
        outcome, weight = outcome.astype(np.float32), np.repeat(known[asked, :, None], 2, axis=2).astype(np.float32)
        base = overall_record(outcome, weight, np.array([0.5, 0.0], dtype=np.float32))
        weights = fit_weights(self.matrix[np.ix_(asked, asked)], Bank(outcome, weight, base), [2.0], sharing=0.4)
        found = np.tensordot(self.matrix[:, asked], weights[..., 0], axes=1) + base
        rows = np.concatenate([self.replay.rows, test])
        cost = np.exp(found[:, :, 1] + mean_rate) * tokens[rows]
        spent = np.nansum(self.replay.shown(known, "cost_usd"), axis=0)
        cost, found = (cost * (spent / np.where(known, cost[:n], 0).sum(axis=0)))[n:], found[n:]  # medians to means
        chosen, each = sweep(found[:, :, 0].astype(float), cost), np.arange(len(test))
        real_cost, real = outcomes.cost_usd[test], outcomes.quality[test]
        points = Points(real_cost[each, chosen].mean(axis=1), real[each, chosen].mean(axis=1))
        return aiq(points, Singles(real_cost.mean(axis=0), real.mean(axis=0)))


def whole_prompts(_: Replay, known: Mask, n: int) -> None:
    """Ask all models the next prompts, until n pairs are known."""
    known.flat[:n] = True


def random_pairs(replay: Replay, known: Mask, n: int) -> None:
    """Ask random pairs."""
    unknown = np.flatnonzero(~known.ravel())
    known.flat[replay.rng.choice(unknown, min(n - int(known.sum()), len(unknown)), replace=False)] = True


def contenders(replay: Replay, known: Mask, n: int) -> None:
    """Ask all models the first prompts, and contenders the next; then, if prompts run out, the other models."""
    models = replay.run.outcomes.models
    first = np.zeros_like(known)
    first[:FIRST_PROMPTS] = True
    known |= first
    found = Contenders.of(models, replay.shown(first, "quality"), replay.shown(first, "cost_usd"), seed=0)
    columns = [models.index(model) for model in found.worth_asking]
    next_prompts = np.flatnonzero(~known.any(axis=1))[: int(np.ceil((n - known.sum()) / len(columns)))]
    known[np.ix_(next_prompts, columns)] = True
    if known.sum() < n:
        random_pairs(replay, known, n)


WAYS: dict[str, Callable[[Replay, Mask, int], None]] = {
    "whole prompts": whole_prompts, "random pairs": random_pairs, "contenders": contenders,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,bfcl,mmlu_pro")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--learner", choices=("kernel", "router"), default="kernel")
    parser.add_argument("--prompts", default=",".join(map(str, PROMPTS)))
    options = parser.parse_args()
    prompts = [int(number) for number in options.prompts.split(",")]
    with threadpool_limits(1):
        for table in options.tables.split(","):
            found = [measured(options.data / table, seed, options.learner, prompts) for seed in range(options.seeds)]
            print(markdown(table, found), flush=True)


def measured(folder: Path, seed: int, learner: str, prompts: Sequence[int]) -> dict[str, list[list[float]]]:
    """Replay a table in each way; return [calls, USD, AIQ] after each number of calls."""
    replay = Replay.of(folder, seed)
    quality_of = KernelMachine.of(replay).aiq if learner == "kernel" else replay.by_router
    found: dict[str, list[list[float]]] = {}
    for way, ask in WAYS.items():
        known = np.zeros(replay.shape, dtype=bool)
        for number in prompts:
            if number < len(replay.rows):
                ask(replay, known, number * known.shape[1])
                spent = float(np.nansum(replay.shown(known, "cost_usd")))
                found.setdefault(way, []).append([int(known.sum()), spent, quality_of(known)])
    print(json.dumps({"table": folder.name, "seed": seed, **found}), file=sys.stderr, flush=True)
    return found


def markdown(table: str, found: Sequence[dict[str, list[list[float]]]]) -> str:
    means = {way: np.mean([one[way] for one in found], axis=0) for way in WAYS}
    ours = means["contenders"]
    lines = [f"{table}, {len(found)} seeds: AIQ (USD of the calls)\n"]
    lines += ["| calls | " + " | ".join(WAYS) + " | calls saved by contenders, against the others |", "|---" * 5 + "|"]
    for row, calls in enumerate(ours[:, 0]):
        cells = [f"{mean[row, 2]:.4f} (${mean[row, 1]:.2f})" for mean in means.values()]
        saved = ", ".join(saving(ours, means[way][row]) for way in WAYS if way != "contenders")
        lines.append(f"| {calls:,.0f} | {' | '.join(cells)} | {saved} |")
    return "\n".join(lines) + "\n"


def saving(ours: Float64Array, other: Float64Array) -> str:
    """Return the share of calls that `ours` saves to reach the AIQ of another way."""
    best = np.maximum.accumulate(ours[:, 2])
    if best[-1] < other[2]:
        return "not reached"
    if best[0] >= other[2]:
        return f"> {1 - ours[0, 0] / other[0]:.0%}" if other[0] > ours[0, 0] else "≥ 0%"
    return f"{1 - np.exp(np.interp(other[2], best, np.log(ours[:, 0]))) / other[0]:.0%}"


if __name__ == "__main__":
    main()
