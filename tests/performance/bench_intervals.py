"""How long the paired bootstrap of a whole benchmark takes, on random outcomes of the size of a real table.

    python tests/performance/bench_intervals.py --methods 15 --trials 3 --prompts 12002 --models 13

Set OPENBLAS_NUM_THREADS=1 for one core. Prints seconds of wall clock and of processor.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from small_trials import small_routed, small_side, small_trial

from router_model.training.benchmark.intervals import PromptWeights, Run, method_results, resample
from router_model.training.benchmark.measure import measure
from router_model.training.benchmark.method import MethodCard, sweep

TEST_SHARE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=15)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=12_002)
    parser.add_argument("--models", type=int, default=13)
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    trials = [random_trial(rng, options, seed) for seed in range(options.trials)]
    runs, seconds = [], dict.fromkeys(("measure", "draw", "resample", "intervals"), 0.0)
    started = time.process_time()
    weights = PromptWeights.draw((f"p{row}" for row in range(options.prompts)), n_resamples=options.resamples)
    seconds["draw"] += time.process_time() - started
    wall = time.perf_counter()
    for method in range(options.methods):
        card = MethodCard("ours" if method == 0 else f"method {method}", "learned", "random", "value of a success")
        routed = [random_routed(rng, trial, options.configurations) for trial in trials]
        started = time.process_time()
        measured = [measure(trial, each, card) for trial, each in zip(trials, routed, strict=True)]
        measured_at = time.process_time()
        resamples = [resample(weights, trial, each) for trial, each in zip(trials, routed, strict=True)]
        seconds["measure"] += measured_at - started
        seconds["resample"] += time.process_time() - measured_at
        runs.append(Run(card, measured, resamples))
    started = time.process_time()
    method_results(runs)
    seconds["intervals"] = time.process_time() - started
    print(f"{options}\nwall clock with making the arrays: {time.perf_counter() - wall:.1f} s")
    print("processor:", ", ".join(f"{name} {each:.1f} s" for name, each in seconds.items()))


def random_trial(rng, options, seed):
    n = round(TEST_SHARE * options.prompts)
    sides = [random_side(rng, rng.permutation(options.prompts)[:size], options.models) for size in (n // 3, n)]
    return small_trial(*sides, name=f"seed {seed}", seed=seed)


def random_side(rng, rows, n_models):
    cost = np.geomspace(1e-5, 1e-2, n_models) * rng.lognormal(0, 1, (len(rows), n_models))
    chance = 1 / (1 + np.exp(-np.linspace(-0.5, 1.5, n_models) - rng.normal(0, 1.5, (len(rows), 1))))
    success = (rng.random(chance.shape) < chance).astype(float)
    return small_side(success, cost, ids=[f"p{row}" for row in rows], tokens=cost)


def random_routed(rng, trial, n_configurations):
    values = np.geomspace(1e-6, 1e3, n_configurations).tolist()
    routings = []
    for side in (trial.validation, trial.test):
        guess = np.clip(0.5 * side.success.mean(axis=0) + 0.5 * rng.beta(2, 1, side.success.shape), 0.01, 0.99)
        routings.append((sweep(guess, side.cost_usd, values), guess))
    (validation, _), (test, p) = routings
    return small_routed(validation, test, p, trial.test.cost_usd, trial.test.cost_usd)


if __name__ == "__main__":
    main()
