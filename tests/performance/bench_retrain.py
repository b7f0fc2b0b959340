"""What `retrain` learns from a simulated log: ``bench_retrain.py DATA --out results.json``.

A world has six models of a table, evenly by their rank in price. A router is trained on 500 prompts with all outcomes
(*base*). It serves as many simulated requests as the table has training prompts, and more; three answers in ten are
judged. `retrain` learns from both, and the truth about what it learned comes from held-out prompts, whose outcomes are
all known. Beside it, at as many requests as training prompts: the same rows with inverse propensity weights in the fit,
the log alone, and as many grades as the log has, but of prompts that all models answered. *Full information* is a
router that is trained on all outcomes of all training prompts.

Prints, in Markdown, for each number of requests the AUC, log-loss and AIQ, the part of the distance from the base to
full information that is closed, and differences with 95 % intervals (paired bootstrap of the held-out prompts). Then
regret: how much worse the decisions after so many requests are than those of full information, in points of quality,
where a success is worth ten calls of the best model. Two rivals have the same 500 prompts and the same stream,
choose models themselves, and learn from the same judgements:

- paretobandit: its own LinUCB, warm from the 500 prompts; its reward is what is measured here, scaled to 0 to 1.
- Beta per cell: LiteLLM's adaptive router. A Beta distribution for each task and model, a draw from each for each
  request, and at most 200 observations in a cell. It is given the true tasks and the 500 prompts as a prior.

`docs/draw_regret.py results.json` draws the regret.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import polars as pl
from bench_partial_logs import WeightedRun
from sklearn.decomposition import PCA

from router_model.catalog import Catalog
from router_model.commands.simulate import read_world
from router_model.errors import TrainingError
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.policy import best_by_value
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.serving.commands.log import with_log
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.store import Period
from router_model.serving.simulation.simulate import simulate
from router_model.serving.simulation.traffic import Traffic, draw_arrivals
from router_model.serving.simulation.world import Phase, World
from router_model.training.benchmark.packages.adapters import paretobandit_adapter
from router_model.training.measuring.evaluate import sweep
from router_model.training.metrics import interval, mean_auc, resample_weights
from router_model.training.metrics.bootstrap import bootstrap_frontier
from router_model.training.metrics.prediction import log_losses
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.retrain import retrain
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import split_prompts
from router_model.training.train import TrainConfig, train

N_MODELS, N_BASE, FEEDBACK = 6, 500, 0.3
SIZES = (0.25, 0.5, 1.0, 2.0, 1 / FEEDBACK)
"""Requests as multiples of the table's training prompts; with the last, there are as many grades as prompts."""
VALUE_CALLS = 10
COMPONENTS = 25  # paretobandit's default
CELL_MASS, CELL_CAP = 10.0, 200.0  # LiteLLM's COLD_START_MASS and SAMPLE_CAP

FloatArray = npt.NDArray[np.float64]
Choices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Truth:
    """Held-out prompts, all of whose outcomes are known."""

    outcomes: Outcomes
    features: PromptFeatures
    weights: npt.NDArray[np.float32]
    value_usd: float

    def measure(self, router: Router) -> dict[str, Any]:
        """Return a router's metrics, and the resamples that intervals are made of."""
        columns = np.array([self.outcomes.models.index(model) for model in router.models])
        table = router.predict_features(self.features, 0.5)
        quality, cost = self.outcomes.quality, self.outcomes.cost_usd
        frontier = columns[sweep(table.mean_quality, table.expected_cost_usd)]
        plain = np.ones((1, len(quality)), dtype=np.float32)
        found: dict[str, Any] = {
            "aiq": float(bootstrap_frontier(plain, frontier, quality, cost)["aiq"][0]),
            "aiq_resampled": bootstrap_frontier(self.weights, frontier, quality, cost)["aiq"],
            "regret_of": self.utility(
                columns[
                    best_by_value(
                        table.mean_quality,
                        table.expected_cost_usd,
                        np.ones(table.p_success.shape, dtype=bool),
                        success_value_usd=self.value_usd,
                    )
                ]
            ),
            "rule": self.of_rule(router, columns, table),
        }
        if len(columns) == len(self.outcomes.models):
            success = succeeds(quality[:, columns], 0.5).astype(np.float64)
            losses = log_losses(table.p_success, success).mean(axis=1)
            found |= {"auc": mean_auc(table.p_success, success), "log_loss": float(losses.mean()), "losses": losses}
        return found

    def of_rule(self, router: Router, columns: Choices, table: Any) -> tuple[float, float]:
        """Return mean quality and cost of the default rule."""
        eligible = np.ones(table.p_success.shape, dtype=bool)
        chosen = columns[router.rank(router.rule(), table, eligible)[:, 0]]
        rows = np.arange(len(chosen))
        return float(self.outcomes.quality[rows, chosen].mean()), float(self.outcomes.cost_usd[rows, chosen].mean())

    def utility(self, chosen: Choices) -> FloatArray:
        """Return what each choice is worth, in successes."""
        rows = np.arange(len(chosen))
        worth = self.outcomes.quality[rows, chosen] - self.outcomes.cost_usd[rows, chosen] / self.value_usd
        return np.asarray(worth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--worlds", default="mmlu_pro 0,zeroeval 0,bfcl 0", help="tables with seeds")
    parser.add_argument("--epsilons", default="0.05,0.1")
    parser.add_argument("--feedback", type=float, default=FEEDBACK, help="share of the answers that are judged")
    parser.add_argument("--sizes", default=",".join(f"{size:.4g}" for size in SIZES))
    parser.add_argument("--arms", default="inverse weights,log alone,as many grades,rivals",
                        help="what stands beside retrain")  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    sizes = [float(size) for size in options.sizes.split(",")]
    results: dict[str, Any] = {}
    for world in options.worlds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(options.data, world, Path(folder), options.arms, options.feedback)
            for epsilon in options.epsilons.split(","):
                results[f"{world} {epsilon}"] = bench.measured(float(epsilon), sizes)
                if options.out:
                    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table_of(results))
    print()
    print(regrets_of(results))


class Bench:
    """One world: the base, full information and the held-out truth."""

    def __init__(self, data: Path, world: str, folder: Path, arms: str, feedback: float) -> None:
        name, seed = world.split()
        self.world, self.seed, self.folder, self.arms, self.feedback = world, int(seed), folder, arms, feedback
        self.catalog = Catalog.load(data / name / "catalog.toml")
        path = data / name / "outcomes.parquet"
        outcomes = join_near_duplicates(read_outcomes(path))
        split = split_prompts(outcomes.split_keys, seed=self.seed)
        by_price = np.argsort(np.nanmean(outcomes.cost_usd[split.train], axis=0))
        picked = by_price[np.linspace(0, len(by_price) - 1, N_MODELS).round().astype(int)]
        outcomes = outcomes.select_models([outcomes.models[column] for column in sorted(picked)])
        rng = np.random.default_rng(self.seed)
        base = np.sort(rng.choice(split.train, N_BASE, replace=False))
        frame = pl.read_parquet(path).filter(pl.col("model").is_in(outcomes.models))
        for part, rows in {"base": base, "full": split.train, "world": np.setdiff1d(split.train, base)}.items():
            ids = [outcomes.prompt_ids[row] for row in rows]
            frame.filter(pl.col("prompt_id").is_in(ids)).write_parquet(folder / f"{part}.parquet")
        self.n_train, self.base_rows = len(split.train), outcomes.take(base)
        held_out = outcomes.take(split.test)
        config = TrainConfig(holdout=False, seed=self.seed)
        self.say(f"training prompts {self.n_train}, models {', '.join(outcomes.models)}")
        for part in ("base", "full"):
            train(folder / f"{part}.parquet", folder / part, catalog=self.catalog, config=config)
        encoder = Router.load(folder / "base").encoder
        best = int(self.base_rows.quality.mean(axis=0).argmax())
        value = VALUE_CALLS * float(self.base_rows.cost_usd[:, best].mean())
        self.truth = Truth(
            held_out, featurise(held_out.prompts, encoder), resample_weights(len(held_out), seed=0), value
        )
        self.ends = {part: self.truth.measure(Router.load(folder / part)) for part in ("base", "full")}
        self.say(f"base {self.line(self.ends['base'])}; full {self.line(self.ends['full'])}; test {len(held_out)}")

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self.world}: {text}", file=sys.stderr, flush=True)

    @staticmethod
    def line(found: dict[str, Any]) -> str:
        return " / ".join(f"{found.get(name, np.nan):.4f}" for name in ("auc", "log_loss", "aiq")) + f" {found['rule']}"

    def measured(self, epsilon: float, sizes: list[float]) -> dict[str, Any]:
        """Simulate a log, and measure what is learned from the first requests of it."""
        url, spool = f"sqlite:///{self.folder}/log-{epsilon}.db", self.folder / f"spool-{epsilon}"
        settings = Settings(
            artifact=self.folder / "base", log=url, log_spool=spool, explore_share=epsilon, explore_max_cost_ratio=1e6
        )
        world = read_world(self.folder / "world.parquet", Router.load(self.folder / "base")).world
        counts = [round(size * self.n_train) for size in sizes]
        traffic = Traffic(n_requests=max(counts), feedback=self.feedback)
        done = simulate(settings, world, traffic, seed=self.seed)
        exported = self.folder / f"log-{epsilon}.parquet"
        with_log(url, spool, lambda store: export_log(store, exported, Period()))
        logged = pl.read_parquet(exported)
        shares = logged["model"].value_counts(normalize=True, sort=True).rows()
        self.say(f"logged {', '.join(f'{model} {share:.3f}' for model, share in shares)}")
        found: dict[str, Any] = {
            "models": list(self.truth.outcomes.models),
            "n_train": self.n_train,
            "n_test": len(self.truth.outcomes),
            "base": self.figures(self.ends["base"]),
            "full": self.figures(self.ends["full"]),
            "sizes": {},
        }
        if "rivals" in self.arms:
            found["rivals"] = self.rivals(world, traffic, counts)
        for n in counts:
            part = self.folder / "part.parquet"
            logged.filter(pl.col("prompt_id").is_in(done.decision_ids[:n])).write_parquet(part)
            found["sizes"][n] = self.learned(part, beside=n == self.n_train)
            self.say(f"ε {epsilon}, {n} requests: {json.dumps(found['sizes'][n])}")
        return found

    def learned(self, log: Path, *, beside: bool) -> dict[str, Any]:
        """Train on a log in every way, and compare with the truth."""
        frame = pl.read_parquet(log)
        arms: dict[str, Callable[[], Any]] = {"retrain": lambda: self.retrained(log)}
        if beside and "inverse weights" in self.arms:
            arms["inverse weights"] = lambda: self.weighted(log)
        if beside and "log alone" in self.arms:
            arms["log alone"] = lambda: self.alone(log)
        if beside and "as many grades" in self.arms:
            arms["as many grades"] = lambda: self.evenly(int(frame["quality"].count()))
        truths: dict[str, Any] = {}
        for arm, make in arms.items():
            try:
                make()
            except TrainingError as exc:  # a log alone may have too few grades
                if arm == "retrain":
                    raise
                self.say(f"{arm}: {exc}")
                continue
            truths[arm] = self.truth.measure(Router.load(self.folder / "out"))
        new = truths["retrain"]
        return {
            "n_graded": int(frame["quality"].count()),
            "arms": {arm: self.figures(each) for arm, each in truths.items()},
            "against": {
                arm: self.differences(new, other)
                for arm, other in {"base": self.ends["base"], **truths}.items()
                if arm != "retrain"
            },
        }

    def retrained(self, log: Path) -> None:
        retrain(
            log, self.folder / "base", self.folder / "out", tables=[self.folder / "base.parquet"], accept_moves=True
        )

    def alone(self, log: Path) -> None:
        shutil.rmtree(self.folder / "out")  # else the router there would be the one to compare with
        config = TrainConfig(holdout=False, seed=self.seed)
        train(log, self.folder / "out", catalog=self.catalog, config=config)

    def evenly(self, n_grades: int) -> None:
        """Train on the base's prompts and on others with all outcomes."""
        frames = [pl.read_parquet(self.folder / f"{part}.parquet") for part in ("base", "world")]
        others = frames[1]["prompt_id"].unique(maintain_order=True)
        kept = others.sample(min(n_grades // N_MODELS, len(others)), seed=self.seed)
        table = self.folder / "evenly.parquet"
        pl.concat([frames[0], frames[1].filter(pl.col("prompt_id").is_in(kept.to_list()))]).write_parquet(table)
        config = TrainConfig(holdout=False, seed=self.seed)
        train(table, self.folder / "out", catalog=self.catalog, config=config, accept_moves=True)

    def weighted(self, log: Path) -> None:
        with mock.patch("router_model.training.train.Run", WeightedRun):
            self.retrained(log)

    def figures(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return what is printed of a router."""
        regret = self.ends["full"]["regret_of"] - found["regret_of"]
        figures = {name: found.get(name) for name in ("auc", "log_loss", "aiq", "rule")}
        return figures | {"regret": 100 * float(regret.mean()), "regret_error": self.error(regret)}

    @staticmethod
    def error(values: FloatArray) -> float:
        return 100 * float(values.std(ddof=1) / np.sqrt(len(values)))

    def differences(self, new: dict[str, Any], old: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
        """Return new minus old with 95 % intervals."""
        aiq = new["aiq"] - old["aiq"]
        found = {"aiq": (aiq, *interval(new["aiq_resampled"] - old["aiq_resampled"], aiq))}
        if "losses" in new and "losses" in old:
            by_prompt = new["losses"] - old["losses"]
            resampled = self.truth.weights.astype(np.float64) @ by_prompt / len(by_prompt)
            found["log_loss"] = (float(by_prompt.mean()), *interval(resampled))
        return {name: tuple(float(number) for number in numbers) for name, numbers in found.items()}  # type: ignore[misc]

    def rivals(self, world: World, traffic: Traffic, counts: list[int]) -> dict[str, Any]:
        """Let both rivals serve the same requests; return the regret of their decisions after each number of them."""
        arrivals = draw_arrivals(traffic, [Phase(0, world)], np.random.default_rng([self.seed, 0, 1]))
        stream = [(arrival.row, arrival.judged_after_s is not None) for arrival in arrivals]
        # The world has the base's models, in the router's order.
        to_truth = np.array([self.truth.outcomes.models.index(model) for model in world.models])
        base = self.base_rows.select_models(world.models)
        made = {
            "paretobandit": self.pareto(world, base),
            "Beta per cell": self.cells(world, base),
        }
        found: dict[str, Any] = {}
        for name, rival in made.items():
            regrets = {}
            for n, (row, judged) in enumerate(stream, start=1):
                rival.serve(row, judged=judged)
                if n in counts:
                    lost = self.ends["full"]["regret_of"] - self.truth.utility(to_truth[rival.frozen()])
                    regrets[n] = (100 * float(lost.mean()), self.error(lost))
            found[name] = regrets
            self.say(f"{name}: {regrets}")
        return found

    def pareto(self, world: World, base: Outcomes) -> "Pareto":
        encoder = Router.load(self.folder / "base").encoder
        of_base, of_world = (featurise(prompts, encoder).embedding for prompts in (base.prompts, world.prompts))
        vectors = [of_base.astype(np.float64), of_world.astype(np.float64)]
        return Pareto(world, base, vectors, self.truth, self.seed)

    def cells(self, world: World, base: Outcomes) -> "Cells":
        return Cells(world, base, self.truth, self.seed)


def utility_of(quality: FloatArray, cost: FloatArray, value_usd: float) -> FloatArray:
    """Return utilities scaled to 0 to 1, as paretobandit wants rewards."""
    return np.clip((quality - cost / value_usd + 1) / 2, 0, 1)


class Pareto:
    """paretobandit's LinUCB, which serves and learns as its documentation shows."""

    def __init__(self, world: World, base: Outcomes, vectors: list[FloatArray], truth: Truth, seed: int) -> None:
        pca = PCA(COMPONENTS, random_state=seed).fit(vectors[0])
        self.of_world = paretobandit_adapter.project(pca, vectors[1])
        self.of_truth = paretobandit_adapter.project(pca, truth.features.embedding.astype(np.float64))
        self.rewards = utility_of(world.quality, world.cost_usd, truth.value_usd)
        warm = utility_of(base.quality, base.cost_usd, truth.value_usd)
        price = paretobandit_adapter.prices(base.cost_usd)
        self.router = paretobandit_adapter.build(pca, vectors[0], warm, price, seed)

    def serve(self, row: int, *, judged: bool) -> None:
        model, log = self.router.route(self.of_world[row])
        if judged:
            self.router.process_feedback(log.request_id, float(self.rewards[row, int(model.removeprefix("model-"))]))

    def frozen(self) -> Choices:
        columns = np.array([int(model.removeprefix("model-")) for model in self.router.bandit.models])
        return np.asarray(columns[paretobandit_adapter.expected_rewards(self.router, self.of_truth).argmax(axis=1)])


class Cells:
    """LiteLLM's adaptive router: a Beta distribution for each task and model, and Thompson sampling."""

    def __init__(self, world: World, base: Outcomes, truth: Truth, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tasks = sorted({*world.tasks, *base.tasks, *truth.outcomes.tasks})
        number = {task: i for i, task in enumerate(self.tasks)}
        self.of_world, of_base, self.of_truth = (
            np.array([number[task] for task in tasks]) for tasks in (world.tasks, base.tasks, truth.outcomes.tasks)
        )
        self.quality, self.burden = world.quality, base.cost_usd.mean(axis=0) / truth.value_usd
        self.cells = np.full((len(self.tasks), len(world.models), 2), CELL_MASS / 2)
        for task, quality in zip(of_base, base.quality, strict=True):
            for model in range(len(world.models)):
                self.observe(task, model, quality[model])

    def observe(self, task: int, model: int, quality: float) -> None:
        if self.cells[task, model].sum() + 1 <= CELL_CAP:
            self.cells[task, model] += (quality, 1 - quality)

    def serve(self, row: int, *, judged: bool) -> None:
        task = self.of_world[row]
        drawn = self.rng.beta(self.cells[task, :, 0], self.cells[task, :, 1])
        model = int((drawn - self.burden).argmax())
        if judged:
            self.observe(task, model, self.quality[row, model])

    def frozen(self) -> Choices:
        mean = self.cells[:, :, 0] / self.cells.sum(axis=2)
        return np.asarray((mean - self.burden).argmax(axis=1)[self.of_truth])


def table_of(results: dict[str, Any]) -> str:
    """Return the table of what was learned, as Markdown."""
    titles = ["world, ε", "requests (graded)", "AUC / log-loss / AIQ", "closed: AUC, log-loss, AIQ", "AIQ - base"]
    titles += [f"{name} - {arm}" for arm in ("inverse weights", "log alone") for name in ("log-loss", "AIQ")]
    titles += ["as many grades"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for world, found in results.items():
        base, full = found["base"], found["full"]
        lines.append(f"| {world} | 0 | {cell(base)} |{' |' * 7}")
        for n, at in found["sizes"].items():
            new = at["arms"]["retrain"]
            closed = ", ".join(closed_part(name, base, new, full) for name in ("auc", "log_loss", "aiq"))
            against = [
                span(at["against"].get(arm, {}).get(name))
                for arm, name in (
                    ("base", "aiq"), ("inverse weights", "log_loss"), ("inverse weights", "aiq"),
                    ("log alone", "log_loss"), ("log alone", "aiq"),
                )
            ]  # fmt: skip
            even = at["arms"].get("as many grades")
            against.append("" if even is None else cell(even))
            lines.append(f"| | {int(n):,} ({at['n_graded']:,}) | {cell(new)} | {closed} | {' | '.join(against)} |")
        lines.append(f"| | full information | {cell(full)} |{' |' * 7}")
    return "\n".join(lines)


def closed_part(name: str, base: dict[str, Any], new: dict[str, Any], full: dict[str, Any]) -> str:
    """Return the closed part of the distance in a metric; "-" where full information is not better than the base."""
    gain = full[name] - base[name]
    is_better = gain < 0 if name == "log_loss" else gain > 0
    return f"{(new[name] - base[name]) / gain:.0%}" if is_better else "-"


def regrets_of(results: dict[str, Any]) -> str:
    """Return the table of regret, as Markdown."""
    lines = ["| world, ε | requests | retrain | paretobandit | Beta per cell |", "|---" * 5 + "|"]
    for world, found in results.items():
        lines.append(f"| {world} | 0 | {found['base']['regret']:.2f} ± {found['base']['regret_error']:.2f} | | |")
        for n, at in found["sizes"].items():
            new = at["arms"]["retrain"]
            rivals = [f"{each[n][0]:.2f} ± {each[n][1]:.2f}" for each in found.get("rivals", {}).values()]
            lines.append(f"| | {int(n):,} | {new['regret']:.2f} ± {new['regret_error']:.2f} | {' | '.join(rivals)} |")
    return "\n".join(lines)


def cell(figures: dict[str, Any]) -> str:
    return f"{figures['auc']:.4f} / {figures['log_loss']:.4f} / {figures['aiq']:.4f}"


def span(numbers: tuple[float, float, float] | None) -> str:
    return "" if numbers is None else f"{numbers[0]:+.4f} ({numbers[1]:+.4f} to {numbers[2]:+.4f})"


if __name__ == "__main__":
    main()
