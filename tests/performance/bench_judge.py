"""What labels make of a judge, on real outcomes: ``python bench_judge.py DATA [--labels 50,200]``.

The table's qualities are the truth. A judge is simulated by a rule that errs on some of them; people label the answers
to a few prompts. Every model's mean quality over the table is known, so errors and coverage can be counted:

- error: mean distance of the means from the truth, in points, by the grades, by the labels alone, and corrected;
- coverage of the corrected 95 % intervals, and what the judge's grades are worth: labels that would give the same
  width, over the labels that there are;
- pairs of models that the judge orders wrongly, of those that differ by its grades; and of those that labels confirm.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from router_model.training.grading.judge_quality import LabelledGrades, Shown, measure_judge
from router_model.training.table.outcomes import read_outcomes

N_PROMPTS, N_SEEDS = 1000, 10


def noisy(quality, rng):
    """Be wrong on one answer in ten."""
    return np.where(rng.random(quality.shape) < 0.1, 1 - quality, quality)


def unfair(quality, rng):
    """Take failures for successes: one in ten of every second model, and half of the others'."""
    share = np.where(np.arange(quality.shape[1]) % 2, 0.5, 0.1)
    return np.where((quality < 0.5) & (rng.random(quality.shape) < share), 1.0, quality)


def guessing(quality, rng):
    """Say 1 in 70 % of the cases, whatever the answer."""
    return (rng.random(quality.shape) < 0.7).astype(float)


def trial(quality, judge, n_labels, seed):
    """Return errors (3), coverage, worth, and wrong and all pairs by the grades and after the labels (4)."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(quality), N_PROMPTS, replace=False)
    sample, truth = quality[rows], quality.mean(axis=0)
    labels = np.full(sample.shape, np.nan)
    labels[:n_labels] = sample[:n_labels]
    names = [str(number) for number in range(sample.shape[1])]
    grades = LabelledGrades(names, judge(sample, rng), labels, np.ones(sample.shape), np.arange(N_PROMPTS))
    report = measure_judge(grades)
    found = [(one.judge, one.labels, one.corrected) for one in report.means]
    values = np.array([[estimate.value for estimate in row] for row in found])
    errors = np.abs(values - truth[:, None]).mean(axis=0) * 100
    covered = np.mean([row[2].low <= mean <= row[2].high for row, mean in zip(found, truth, strict=True)])
    worth = np.mean([(row[1].half_width / row[2].half_width) ** 2 for row in found])
    by_grades = [pair for pair in report.pairs if pair.judge.low > 0]
    confirmed = [pair for pair in report.pairs if pair.shown is Shown.CONFIRMED]
    wrong = [sum(truth[int(p.better)] < truth[int(p.worse)] for p in pairs) for pairs in (by_grades, confirmed)]
    return *errors, covered, worth, wrong[0], len(by_grades), wrong[1], len(confirmed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--labels", default="50,200")
    arguments = parser.parse_args()
    head = f"{'judge':10}{'labels':>7}{'error: grades':>15}{'labels':>8}{'corrected':>11}{'coverage':>10}{'worth':>7}"
    for name in ("zeroeval", "mmlu_pro", "bfcl"):
        outcomes = read_outcomes(arguments.data / name / "outcomes.parquet")
        quality = outcomes.quality[~np.isnan(outcomes.quality).any(axis=1)]
        n_pairs = len(list(combinations(range(quality.shape[1]), 2)))
        print(f"\n{name}: {len(quality):,} prompts, {quality.shape[1]} models, {n_pairs} pairs")
        print(f"{head}  wrong pairs by grades, confirmed")
        for judge in (noisy, unfair, guessing):
            for n_labels in map(int, arguments.labels.split(",")):
                trials = [trial(quality, judge, n_labels, seed) for seed in range(N_SEEDS)]
                *values, wrong, by_grades, wrong_after, confirmed = np.mean(trials, axis=0)
                grades, labels, corrected, covered, worth = values
                print(
                    f"{judge.__name__:10}{n_labels:7}{grades:15.1f}{labels:8.1f}{corrected:11.1f}{covered:10.3f}"
                    f"{worth:7.2f}  {wrong:.1f} of {by_grades:.1f}, {wrong_after:.1f} of {confirmed:.1f}"
                )


if __name__ == "__main__":
    main()
