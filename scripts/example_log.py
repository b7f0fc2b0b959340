"""A log for the notebooks: an older router, trained on a quarter of the sample, served 40 hours of simulated traffic.

``python scripts/example_log.py quickstart`` writes ``quickstart/log.parquet``. After 24 hours one model is billed more,
and one task is asked more often.
"""

import sys
import tempfile
from pathlib import Path

import polars as pl

from router_model import TrainConfig, train
from router_model.cli import group

N_PROMPTS, N_REQUESTS = 450, 2400


def main() -> None:
    """Train, simulate, export."""
    folder = Path(sys.argv[1])
    table = pl.read_parquet(folder / "train.parquet")
    first = table["prompt_id"].unique(maintain_order=True).head(N_PROMPTS)
    with tempfile.TemporaryDirectory() as own:
        log = ["--log", f"sqlite:///{own}/log.db", "--spool", f"{own}/spool"]
        config = TrainConfig(holdout=False, max_quality_loss=0.0)
        train(table.filter(pl.col("prompt_id").is_in(first.implode())), f"{own}/older", config=config)
        traffic = ["--requests", str(N_REQUESTS), "--feedback", "0.8"]
        explore = ["--explore", "0.5", "--explore-max-cost-ratio", "10000", "--explore-max-p-drop", "1"]
        changes = ["--price-change", "0.6", "google/gemini-2.5-pro", "1.4", "--task-change", "0.6", "gsm8k", "4"]
        run("simulate", f"{own}/older", f"{folder}/unseen.parquet", *log, *traffic, *explore, *changes)
        run("log", "export", *log, "--out", f"{folder}/log.parquet")


def run(*arguments: str) -> None:
    """Run a command of ours, in this process: importing the package takes longer than some of the work."""
    group.main(list(arguments), standalone_mode=False)


if __name__ == "__main__":
    main()
