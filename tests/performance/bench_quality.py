"""Quality on the real outcome tables beside the floors: ``make bench`` or this file with ``--help``.

Trains with seeds 0-2, the defaults and the split of `router_model.training.table.split`, and prints the mean of the
held-out metrics (best configuration on test, as the field reports). Embeddings are cached
(`router_model.training.fitting.embedding_cache`), as a transformer takes a quarter of an hour on a large table.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from router_model.catalog import Catalog
from router_model.features import Encoder, load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.training.fitting.embedding_cache import cached
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig

FLOORS = {
    ("mmlu_pro", "static"): {"auc": 0.697, "aiq": 0.682},
    ("mmlu_pro", "minilm"): {"auc": 0.704, "aiq": 0.685},
    ("zeroeval", "static"): {"auc": 0.820, "aiq": 0.886},
}
"""What this router must reach (mean of seeds 0-2)."""

SHOWN = ("auc", "aiq", "aiq_log", "log_loss", "calibration_error", "perf_gain", "cost_save", "cost_save_95")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--encoders", default="static", help="static,minilm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--together", action="store_true", help="keep near duplicates on one side, as `train` does")
    parser.add_argument("--cache", type=Path, help="folder for embeddings, instead of the user's cache")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    results = {
        f"{table}/{encoder}": bench(
            options.data / table, encoder, options.seeds, options.cache, together=options.together
        )
        for table in options.tables.split(",")
        for encoder in options.encoders.split(",")
    }
    print(markdown(results))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def bench(
    folder: Path, encoder_name: str, n_seeds: int, cache: Path | None, *, together: bool = False
) -> dict[str, list[float | None]]:
    """Train and measure once a seed; return each metric's values."""
    outcomes, catalog, encoder, features = prepare(folder, encoder_name, cache)
    if together:
        outcomes = join_near_duplicates(outcomes)
    values: dict[str, list[float | None]] = {}
    for seed in range(n_seeds):
        split = split_prompts(outcomes.split_keys, seed=seed)
        config = TrainConfig(encoder=encoder_name, seed=seed)
        run = Run(folder / "outcomes.parquet", outcomes, features, split, catalog, encoder, config)
        started = time.perf_counter()
        router, _ = run.fit(lambda _: None)
        seconds = time.perf_counter() - started
        evaluation = run.measure(router)
        for name, value in {**evaluation.metrics, "fit_s": seconds}.items():
            values.setdefault(name, []).append(value)
    return values


def prepare(folder: Path, encoder_name: str, cache: Path | None) -> tuple[Outcomes, Catalog, Encoder, PromptFeatures]:
    """Read a table with its catalog and compute its features."""
    outcomes = read_outcomes(folder / "outcomes.parquet")
    catalog = complete_catalog(Catalog.load(folder / "catalog.toml"), outcomes.models)
    encoder = load_encoder(encoder_name)
    return outcomes, catalog, encoder, featurise(outcomes.prompts, cached(encoder, folder=cache, advance=say))


def say(n_done: int, n_texts: int) -> None:
    print(f"encoded {n_done} of {n_texts}", end="\n" if n_done == n_texts else "\r", file=sys.stderr, flush=True)


def markdown(results: dict[str, dict[str, list[float | None]]]) -> str:
    lines = [f"| table, encoder | {' | '.join(SHOWN)} | floors | fit, s |", "|---" * (len(SHOWN) + 3) + "|"]
    for key, values in results.items():
        cells = [mean_of(values[name]) for name in SHOWN]
        floors = FLOORS.get(tuple(key.split("/")), {})
        said = ", ".join(f"{name} {floor} {verdict(values[name], floor)}" for name, floor in floors.items())
        lines.append(f"| {key} | {' | '.join(cells)} | {said} | {mean_of(values['fit_s'], digits=0)} |")
    return "\n".join(lines)


def mean_of(values: list[float | None], digits: int = 4) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not reached"
    reached = "" if len(known) == len(values) else f" ({len(known)} of {len(values)})"
    return f"{np.mean(known):.{digits}f}{reached}"


def verdict(values: list[float | None], floor: float) -> str:
    return "met" if np.mean([value or 0.0 for value in values]) >= floor else "MISSED"


if __name__ == "__main__":
    main()
