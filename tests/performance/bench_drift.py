"""How soon ``router-model drift`` finds each kind of change, and how often it finds one where nothing has changed.

A router is trained, and the other prompts are replayed as traffic through the real engine into a real log, which is
exported (`router_model.serving.simulation`). `drift` looks at the last `--window` requests, as ``--since`` does.

- **False alarms**: one long stream in which nothing changes is cut into `--looks` windows. A look is a false alarm of a
  check if the check finds drift in anything.
- **Delay**: in `--streams` streams the change happens after the first `--window` requests of twice as many. `drift`
  looks after every `--every` requests. The delay is counted from the change to the first look that finds it.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import simulated_world

from router_model import Catalog, Router
from router_model.commands.simulate import read_world
from router_model.serving.commands.log import with_log
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.store import Period
from router_model.serving.simulation.simulate import simulate
from router_model.serving.simulation.traffic import Traffic
from router_model.serving.simulation.world import Change, PriceChange, QualityChange, Redirect, TaskChange, World
from router_model.training.drift.checks import Thresholds
from router_model.training.drift.watch import DriftReport, watch
from router_model.training.train import TrainConfig, train

CHECKS = (
    "traffic", "form", "calibration", "success", "cost", "tokens", "price", "answering model", "unknown model",
)  # fmt: skip


@dataclass(frozen=True)
class LongerAnswers:
    """A model writes more, and is billed for it."""

    at: float
    model: str
    factor: float

    def apply(self, world: World, rng: np.random.Generator) -> World:
        del rng
        column = np.arange(len(world.models)) == world.column(self.model)
        factors = np.where(column, self.factor, 1.0)
        return replace(world, output_tokens=world.output_tokens * factors, cost_usd=world.cost_usd * factors)

    def __str__(self) -> str:
        return f"{self.model} writes {self.factor:g} times as much"


@dataclass(frozen=True)
class HarderTask:
    """A share of all models' right answers to one task becomes wrong."""

    at: float
    task: str
    share: float

    def apply(self, world: World, rng: np.random.Generator) -> World:
        lost = (np.array(world.tasks) == self.task) & (rng.random(len(world.tasks)) < self.share)
        return replace(world, quality=np.where(lost[:, None], 0.0, world.quality))

    def __str__(self) -> str:
        return f"{self.share:.0%} of the answers to {self.task} become wrong"


@dataclass(frozen=True)
class Case:
    """A change, and the finding that it makes."""

    says: str
    check: str
    subject: str | None
    changes: Callable[[float], Sequence[Change]]


@dataclass(frozen=True)
class Setting:
    """A router, its world and the changes that happen to it."""

    name: str
    artifact: Path
    router: Router
    world: World
    cases: Sequence[Case]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with mmlu_pro/outcomes.parquet [the made-up world]")
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--feedback", type=float, default=0.3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setting = made_up(Path(folder)) if options.data is None else real(options.data / "mmlu_pro", Path(folder))
        print(f"{setting.name}: looks at {options.window} requests, {options.feedback:.0%} of them graded")
        if options.looks:
            print("| check | false alarms | looks | largest effect |\n|---|---|---|---|")
            for check, cells in false_alarms(setting, options, Path(folder)).items():
                print(f"| {check} | {' | '.join(cells)} |", flush=True)
        if options.streams:
            print("| what changes | found by | found | delay, requests: median | largest | other checks |")
            print("|---|---|---|---|---|---|")
            for case in setting.cases:
                cells = delays(setting, case, options, Path(folder))
                print(f"| {case.says} | {case.check} | {' | '.join(cells)} |", flush=True)


def made_up(folder: Path) -> Setting:
    """The tests' world of three tasks and three models."""
    catalog = Catalog.parse(simulated_world.CATALOG, origin="catalog")
    for name, n, seed in (("train", 1500, 0), ("world", 20_000, 1)):
        # The end of each prompt names its draw, which a classifier would find.
        frame = simulated_world.simulate(n, seed=seed).with_columns(pl.col("prompt").str.replace(r" #.*$", ""))
        frame.write_parquet(folder / f"{name}.parquet")
    train(folder / "train.parquet", folder / "router", catalog=catalog, config=simulated_world.BOLD)
    return setting_of("made-up world", folder, "poetry", folder / "world.parquet")


def real(table: Path, folder: Path) -> Setting:
    """Half of mmlu_pro teaches, the other half is asked."""
    frame = pl.read_parquet(table / "outcomes.parquet")
    ids = frame["prompt_id"].unique().sort().sample(fraction=1.0, shuffle=True, seed=0)
    taught = ids[: len(ids) // 2].to_list()
    frame.filter(pl.col("prompt_id").is_in(taught)).write_parquet(folder / "train.parquet")
    frame.filter(~pl.col("prompt_id").is_in(taught)).write_parquet(folder / "world.parquet")
    config = TrainConfig(holdout=False)
    train(folder / "train.parquet", folder / "router", catalog=Catalog.load(table / "catalog.toml"), config=config)
    tasks = frame["task"].value_counts(sort=True)["task"]
    return setting_of("mmlu_pro", folder, str(tasks[0]), folder / "world.parquet")


def setting_of(name: str, folder: Path, task: str, table: Path) -> Setting:
    router = Router.load(folder / "router")
    world = read_world(table, router).world
    chosen = Counter(decision.model for decision in router.route_batch(list(world.prompts[:1000])))
    often = chosen.most_common(1)[0][0]
    dearest = max(router.models, key=lambda model: world.cost_usd[:, world.column(model)].mean())
    cheaper = next(model for model, _ in chosen.most_common() if model != dearest)
    cases = (
        Case(f"{task} asked 5 times as often", "traffic", None, lambda at: [TaskChange(at, task, 5)]),
        Case(f"{often} -20 points", "calibration", often, lambda at: [QualityChange(at, often, -0.2)]),
        Case(f"{often} -10 points", "calibration", often, lambda at: [QualityChange(at, often, -0.1)]),
        Case(f"{task} -20 points, all models", "success", task, lambda at: [HarderTask(at, task, 0.25)]),
        Case(f"price of {often} x 1.5", "price", often, lambda at: [PriceChange(at, often, 1.5)]),
        Case(f"{often} writes 1.5 times as much", "tokens", often, lambda at: [LongerAnswers(at, often, 1.5)]),
        Case(
            f"{cheaper} answered by {dearest}", "answering model", cheaper,
            lambda at: [Redirect(at, cheaper, dearest)],
        ),
    )  # fmt: skip
    return Setting(name, folder / "router", router, world, cases)


def stream(
    setting: Setting, folder: Path, n: int, options: argparse.Namespace, *, seed: int, changes: Sequence[Change] = ()
) -> pl.DataFrame:
    """Replay n requests, and return the table of their log, with the tasks of the real one."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        url, spool, table = f"sqlite:///{own}/log.db", Path(own) / "spool", Path(own) / "log.parquet"
        settings = Settings(artifact=setting.artifact, log=url, log_spool=spool, explore_share=0.1)
        traffic = Traffic(n_requests=n, feedback=options.feedback)
        done = simulate(settings, setting.world, traffic, changes=changes, seed=seed)
        with_log(url, spool, lambda store: export_log(store, table, Period()))
        tasks = dict(zip(done.decision_ids, np.array(setting.world.tasks)[done.rows].tolist(), strict=True))
        calls = pl.read_parquet(table).sort("timestamp", maintain_order=True)
        ids = [json.loads(extra)["decision_id"] for extra in calls["extra"]]
        return calls.with_columns(task=pl.Series([tasks[one] for one in ids]))


def look(setting: Setting, calls: pl.DataFrame) -> DriftReport:
    return watch(setting.router, calls, Thresholds())


def false_alarms(setting: Setting, options: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    calls = stream(setting, folder, options.looks * options.window, options, seed=1)
    alarms: Counter[str] = Counter()
    effects: dict[str, list[float]] = {check: [] for check in CHECKS}
    for first in range(0, calls.height, options.window):
        found = look(setting, calls[first : first + options.window])
        for check in CHECKS:
            of = [one for one in found.findings if one.check == check]
            effects[check] += [abs(one.effect) for one in of]
            alarms[check] += any(one.drifted for one in of)
        alarms["any"] += bool(found.drifted)
        for one in found.drifted:
            print(f"false alarm: {one.check} {one.subject}: {one.says}", file=sys.stderr, flush=True)
    rows = {
        check: [str(alarms[check]), str(options.looks), f"{max(effects[check], default=0.0):.3f}"] for check in CHECKS
    }
    return {**rows, "any of them": [str(alarms["any"]), str(options.looks), ""]}


def delays(setting: Setting, case: Case, options: argparse.Namespace, folder: Path) -> list[str]:
    window, found, others = options.window, [], Counter()
    for seed in range(options.streams):
        calls = stream(setting, folder, 2 * window, options, seed=100 + seed, changes=case.changes(0.5))
        delay = np.inf
        for last in range(window + options.every, calls.height + 1, options.every):
            drifted = look(setting, calls[last - window : last]).drifted
            if any(one.check == case.check and case.subject in {None, one.subject} for one in drifted):
                delay = last - window
                others.update({one.check for one in drifted} - {case.check})
                break
        found.append(delay)
    said = [f"{value:,.0f}" if np.isfinite(value) else "-" for value in np.quantile(found, [0.5, 1.0], method="higher")]
    beside = ", ".join(f"{check} {n}" for check, n in others.most_common())
    return [f"{int(np.isfinite(found).sum())} of {options.streams}", *said, beside or "none"]


if __name__ == "__main__":
    main()
