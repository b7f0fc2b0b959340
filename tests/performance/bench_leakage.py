"""How alike the prompts of the real tables are, and what one says of its twin (training/benchmark/leakage.py).

Every prompt is paired with the one before it that is most like it. *Agreement* of a pair: the mean product of their
outcomes beyond what each model does in the task, over the mean square; 0 for pairs drawn at random, 1 for a prompt and
itself. Then the audit of each split, timed, and up to ``--show`` pairs of every band to read.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from router_model.features.prompt import Prompt
from router_model.training.benchmark.leakage import audit
from router_model.training.near_duplicates.shingles import normalised
from router_model.training.near_duplicates.weighted_sets import WeightedSets
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import split_prompts

EDGES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", help="outcome tables (Parquet)")
    parser.add_argument("--test", type=Path, help="a table whose prompts are the test side of the first one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", type=int, default=0)
    options = parser.parse_args()
    for path in options.tables:
        outcomes = read_outcomes(path)
        bands(path, outcomes, options.show)
        for seed in range(0 if options.test else options.seeds):
            started = time.perf_counter()
            split = split_prompts(outcomes.split_keys, seed=seed)
            found = audit(outcomes.take(split.train).prompts, outcomes.take(split.test).prompts)
            print(f"seed {seed}: {found.in_words()} {time.perf_counter() - started:.1f} s")
        if options.test:
            print(audit(outcomes.prompts, read_outcomes(options.test).prompts).in_words())


def bands(path: Path, outcomes: Outcomes, n_shown: int) -> None:
    """Print how many pairs lie in each band of similarity, and how far their outcomes agree."""
    texts = [Prompt.parse(prompt).text for prompt in outcomes.prompts]
    row_of: dict[str, int] = {}
    for row, text in enumerate(texts):
        row_of.setdefault(normalised(text), row)
    rows = np.array(list(row_of.values()))
    distinct = np.arange(len(rows))
    nearest, similarity = WeightedSets.of(list(row_of)).nearest_before(distinct, distinct, EDGES[0])
    beyond = residuals(outcomes)
    same = [(row_of[normalised(text)], row) for row, text in enumerate(texts) if row_of[normalised(text)] != row]
    print(f"\n{path}: {len(texts):,} prompts; same text {len(same)}, agreement {agreement(beyond, same):.2f}")
    for low, high in pairwise(EDGES):
        at = np.flatnonzero((similarity >= low) & (similarity < high))
        pairs = [(rows[nearest[i]], rows[i]) for i in at]
        print(
            f"similarity {low:.2f}-{min(high, 1):.2f}: {len(pairs):>4} pairs, agreement {agreement(beyond, pairs):.2f}"
        )
        for i in np.random.default_rng(0).permutation(len(at))[:n_shown]:
            first, second = pairs[i]
            print(f"--- {similarity[at[i]]:.3f}\n{texts[first][:600]}\n{'- ' * 9}\n{texts[second][:600]}")


def residuals(outcomes: Outcomes) -> np.ndarray:
    beyond = np.full_like(outcomes.quality, np.nan)
    tasks = np.array(outcomes.tasks)
    for task in set(outcomes.tasks):
        beyond[tasks == task] = outcomes.quality[tasks == task] - np.nanmean(outcomes.quality[tasks == task], axis=0)
    return beyond


def agreement(beyond: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    if not pairs:
        return np.nan
    first, second = np.array(pairs).T
    return float(np.nanmean(beyond[first] * beyond[second]) / np.nanmean(beyond**2))


if __name__ == "__main__":
    main()
