"""Whether certificates keep their word on the real tables: this file with ``--help``.

Trains one router a table (seed 0, the defaults), predicts its calibration and test prompts once, and divides these
at random, again and again, into calibration and test prompts of the sizes the split has. Each time every target is
certified on the one side and looked up on the other. A certificate is violated where the certified rule succeeds less
often than the target

- on test prompts: what a user sees, with the noise of a finite test on top; and as the two sides share the prompts
  between them, a lucky calibration side makes an unlucky test side;
- on all prompts that are divided: easier, as a sample without replacement is nearer to the whole than chance has it;
- on all prompts, where calibration prompts are drawn from them with replacement: exactly what the proof is about.

"Shifted" is the first with whole tasks on one side or the other. Prints Markdown and draws a figure.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from resplits import Draws, certify_draws, naive_draws, random_sides, task_sides, with_replacement

from router_model.catalog import Catalog
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.prediction.bars import succeeds
from router_model.training.measuring.certify import chosen_by_value
from router_model.training.measuring.evaluate import eligible_models
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig

SHARES = (1.0, 0.98, 0.95, 0.9, 0.8)
"""Targets as shares of the best single model's success rate on training prompts, rounded down to percents."""

COLUMNS = (
    "target",
    "certified",
    "violated on test prompts",
    "on all",
    "on all, drawn with replacement",
    "naive choice, on all",
    "cost saved",
    "shifted: certified",
    "shifted: violated on test prompts",
)


@dataclass(frozen=True)
class World:
    """Outcomes of one router's whole family of rules on prompts it never saw; arrays (n_values, n_prompts)."""

    name: str
    targets: tuple[float, ...]
    n_calibration: int
    tasks: npt.NDArray[np.str_]
    succeeded: npt.NDArray[np.bool_]
    cost_usd: npt.NDArray[np.float64]
    best_success: float
    best_cost_usd: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/certificates.svg"))
    options = parser.parse_args()
    worlds = [prepare(options.data / name) for name in options.tables.split(",")]
    figures = []
    for world in worlds:
        alike, shifted = both(world, options.draws, options.delta)
        print(f"\n{describe(world, options.draws, options.delta)}\n\n{markdown(world, alike, shifted, options)}")
        figures.append((world, alike, shifted))
    draw(figures, options.figure, options.delta)


def prepare(folder: Path, seed: int = 0) -> World:
    """Train on a table and look up what every rule of the family brings on the other prompts."""
    path = folder / "outcomes.parquet"
    outcomes, encoder = read_outcomes(path), load_encoder("static")
    catalog = complete_catalog(Catalog.load(folder / "catalog.toml"), outcomes.models)
    split = split_prompts(outcomes.prompt_ids, seed=seed)
    features = featurise(outcomes.prompts, encoder)
    run = Run(path, outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
    router, _ = run.fit(lambda _: None)
    bar = router.artifact.operating_point.quality_bar
    best = np.nanmean(succeeds(outcomes.quality[split.train], bar), axis=0).max()
    rows = np.sort(np.concatenate([split.calibration, split.test]))
    kept, taken = outcomes.take(rows), features.take(rows)
    table = router.predict_features(taken, bar)
    chosen = chosen_by_value(table.p_success, table.expected_cost_usd, eligible_models(router, kept, taken, table))
    success = succeeds(kept.quality, bar)
    billed = realised_costs(kept, catalog)
    cost = np.where(np.isnan(billed), table.expected_cost_usd, billed)
    n, single = np.arange(len(rows)), int(np.argmax(success.mean(axis=0)))
    return World(
        name=folder.name,
        targets=tuple(float(np.floor(share * best * 100) / 100) for share in SHARES),
        n_calibration=len(split.calibration),
        tasks=np.array(kept.tasks),
        succeeded=success[n, chosen],
        cost_usd=cost[n, chosen],
        best_success=float(success[:, single].mean()),
        best_cost_usd=float(cost[:, single].mean()),
    )


def both(world: World, n_draws: int, delta: float) -> tuple[dict[float, Draws], dict[float, Draws]]:
    """Certify every target by itself, in exchangeable and in shifted draws."""
    calibration = random_sides(world.succeeded.shape[1], world.n_calibration, n_draws, seed=0)
    apart = task_sides(world.tasks, world.n_calibration, n_draws, seed=0)
    return (
        {t: certify_draws(world.succeeded, calibration, ~calibration, target=t, level=delta) for t in world.targets},
        {t: certify_draws(world.succeeded, *apart, target=t, level=delta) for t in world.targets},
    )


def together(world: World, n_draws: int, delta: float) -> float:
    """Share of draws that break any of the targets, each tested at delta divided by their number."""
    calibration = with_replacement(world.succeeded.shape[1], world.n_calibration, n_draws, seed=1)
    broken = np.zeros(n_draws, dtype=bool)
    for target in world.targets:
        draws = certify_draws(
            world.succeeded, calibration, calibration == 0, target=target, level=delta / len(world.targets)
        )
        broken |= draws.all_rate < target
    return float(broken.mean())


def describe(world: World, n_draws: int, delta: float) -> str:
    n_tasks = len(np.unique(world.tasks))
    return (
        f"**{world.name}**: {world.succeeded.shape[1]:,} prompts in {n_tasks} tasks, {world.n_calibration:,} of them "
        f"for calibration; {n_draws:,} draws, delta {delta:g}. Best single model: {world.best_success:.3f}; likeliest "
        f"model: {world.succeeded[0].mean():.3f}. All targets together at delta / {len(world.targets)}: "
        f"{together(world, n_draws, delta):.3f} of the draws break one."
    )


def markdown(world: World, alike: dict[float, Draws], shifted: dict[float, Draws], options: argparse.Namespace) -> str:
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    calibration = random_sides(world.succeeded.shape[1], world.n_calibration, options.draws, seed=0)
    drawn = with_replacement(world.succeeded.shape[1], world.n_calibration, options.draws, seed=0)
    for target, draws in alike.items():
        naive = naive_draws(world.succeeded, calibration, ~calibration, target=target)
        independent = certify_draws(world.succeeded, drawn, ~calibration, target=target, level=options.delta)
        cells = [
            f"{target:g}",
            f"{draws.certified:.3f}",
            f"{draws.violations(target, on_test=True):.3f}",
            f"{draws.violations(target):.3f}",
            f"{independent.violations(target):.3f}",
            f"{naive.violations(target):.3f}",
            saving(world, draws),
            f"{shifted[target].certified:.3f}",
            f"{shifted[target].violations(target, on_test=True):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def saving(world: World, draws: Draws) -> str:
    """Return what certified rules save on average against the best single model."""
    last = draws.last[draws.last >= 0]
    return f"{1 - world.cost_usd.mean(axis=1)[last].mean() / world.best_cost_usd:.1%}" if len(last) else "-"


def draw(figures: list[tuple[World, dict[float, Draws], dict[float, Draws]]], path: Path, delta: float) -> None:
    from router_model.charts import IntervalRow, intervals, stacked, to_svg

    pictures = []
    for world, alike, shifted in figures:
        rows = []
        for label, drawn in (("alike", alike), ("other tasks", shifted)):
            for target, draws in drawn.items():
                values = draws.test_rate[draws.last >= 0] - target
                low, middle, high = np.quantile(values, [0.05, 0.5, 0.95]) if len(values) else (None, None, None)
                under = f"{draws.violations(target, on_test=True):.0%} under"
                rows.append(IntervalRow(f"target {target:g}, {label}", middle, low, high, note=under))
        chart = intervals(
            rows,
            axis="success rate on test prompts - target; median and 5 to 95 %",
            description=f"Success over certified targets, {world.name}",
            title=f"{world.name}, {world.n_calibration:,} calibration prompts, delta {delta:g}",
            width=760,
        )
        pictures.append(to_svg(chart))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stacked(pictures), encoding="utf-8")


if __name__ == "__main__":
    main()
