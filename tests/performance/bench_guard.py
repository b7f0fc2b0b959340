"""How much trainings differ that differ in their seed alone: the noise that the guard allows for.

One table to learn from and one to test on (`make guard`'s), the same split every time.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.benchmark import trials
from router_model.training.benchmark.guard import MARGINS
from router_model.training.benchmark.measure import measure
from router_model.training.benchmark.methods.ours import Ours
from router_model.training.table.outcomes import read_outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("test_table", type=Path)
    parser.add_argument("--trainings", type=int, default=8)
    options = parser.parse_args()
    encoder, ours = load_encoder("static"), Ours()
    before, after = (read_outcomes(path) for path in (options.table, options.test_table))
    features = [featurise(outcomes.prompts, encoder) for outcomes in (before, after)]
    (trial,) = trials.trials_on_table(
        before, features[0], after, features[1], catalog=None, encoder=encoder, seeds=[0], quality_bar=0.5
    )
    found = []
    for seed in range(options.trainings):
        metrics = measure(trial, ours.route(replace(trial.blinded(), seed=seed), lambda _: None), ours.card).metrics
        found.append([metrics[name] for name in MARGINS])
    print("| metric | mean | standard deviation | margin |\n|---|---|---|---|")
    for (name, margin), values in zip(MARGINS.items(), np.array(found, dtype=float).T, strict=True):
        print(f"| {name} | {values.mean():.4f} | {values.std(ddof=1):.5f} | {margin} |")


if __name__ == "__main__":
    main()
