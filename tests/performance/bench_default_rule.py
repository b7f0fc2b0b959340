"""What the default rule loses and saves on real tables: trained on all of them, and on 300 prompts only.

Quality is that of the held-out prompts (30 % of the table, never used to choose anything), as a difference to the
single model that is the best *on them*, in points. With all prompts, seeds 0-2; with 300, six draws.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_quality import prepare

from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

FEW, DRAWS, SEEDS = 300, 6, 3
HEAD = (
    "| table | prompts | quality, points (each) | cost saved | most to one model | always one model | loss > 1 |",
    "|---|---|---|---|---|---|---|",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,bfcl,mmlu_pro")
    parser.add_argument("--max-quality-loss", type=float, default=TrainConfig().max_quality_loss)
    options = parser.parse_args()
    print(
        "| table | prompts | quality, points (each) | cost saved | most to one model | always one model | P(loss > 1) |"
    )
    print("|---|---|---|---|---|---|---|")
    for table in options.tables.split(","):
        for few in (False, True):
            print(row(options.data / table, few=few, max_quality_loss=options.max_quality_loss), flush=True)


def row(folder: Path, *, few: bool, max_quality_loss: float) -> str:
    """Train and measure, and return a row of the table."""
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    found, always = [], 0
    for seed in range(DRAWS if few else SEEDS):
        split = split_prompts(outcomes.prompt_ids, seed=0 if few else seed)
        if few:
            drawn = np.random.default_rng(seed)
            split = Split(
                np.sort(drawn.choice(split.train, FEW, replace=False)),
                np.sort(drawn.choice(split.calibration, FEW // 6, replace=False)),
                split.test,
            )
        config = TrainConfig(seed=seed, max_quality_loss=max_quality_loss)
        run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, config)
        router, _ = run.fit(lambda _: None)
        measured = run.measure(router)
        best = next(single for single in measured.singles if single.label == measured.best_single)
        lost = 100 * (measured.router.quality - best.quality)
        found.append((lost, measured.router.saving, max(measured.shares.values())))
        always += router.artifact.operating_point.always_model is not None
        print(f"{folder.name} {'few' if few else 'all'} {seed}", *found[-1], file=sys.stderr, flush=True)
    lost, saved, share = np.array(found).T
    each = ", ".join(f"{value:+.2f}" for value in lost)
    return (
        f"| {folder.name} | {FEW if few else 'all'} | {lost.mean():+.2f} ({each}) | {saved.mean():.1%} | "
        f"{share.mean():.2f} | {always} of {len(found)} | {np.mean(lost < -1):.0%} |"
    )


if __name__ == "__main__":
    main()
