"""Time and memory of training on a large table, made up here: prompts of Zipf-distributed words on many topics.

``bench_scale.py --prompts 100000 --models 50`` writes the table into a temporary folder, trains in a process of its
own (as the command does) and prints seconds (of the clock and of the processor; on a machine that others use, only the
latter can be compared), peak memory and the size of the artifact.

``bench_scale.py --prompts 100000 --grouping`` only groups near duplicates: prompts of 60 words from 4,000, without
names or numbers, a fifth of them copies with three other words. It prints the same and the share of copies found.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from router_model.training.near_duplicates.groups import near_duplicate_labels

N_TOPICS, N_WORDS, TOPIC_WORDS = 60, 30_000, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--known", type=float, default=0.5, help="share of (prompt, model) pairs with an outcome")
    parser.add_argument("--graded", action="store_true", help="continuous qualities instead of right or wrong")
    parser.add_argument("--grouping", action="store_true", help="group near duplicates, without training")
    options = parser.parse_args()
    if options.grouping:
        group(options.prompts)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_rows = write_table(folder, options.prompts, options.models, options.known, graded=options.graded)
        command = [sys.executable, "-m", "router_model", "train", str(folder / "table.parquet")]
        command += ["--catalog", str(folder / "catalog.toml"), "--out", str(folder / "router"), "--no-track", "--json"]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_seconds, peak = used.ru_utime + used.ru_stime, peak_gib(resource.RUSAGE_CHILDREN)
        size_mb = sum(path.stat().st_size for path in (folder / "router").iterdir()) / 1e6
    print(
        "| prompts | models | outcomes | CPU seconds | seconds | peak GiB | artifact MB |", "|---" * 7 + "|", sep="\n"
    )
    counts = f"{options.prompts:,} | {options.models} | {n_rows:,}"
    print(f"| {counts} | {cpu_seconds:.0f} | {seconds:.0f} | {peak:.1f} | {size_mb:.0f} |")


def group(n_prompts: int) -> None:
    """Group made-up prompts and print what it took."""
    rng = np.random.default_rng(0)
    words = np.array(
        ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 10))) for _ in range(4000)]
    )
    originals = rng.integers(len(words), size=(n_prompts - n_prompts // 5, 60))
    of_copy = rng.choice(len(originals), n_prompts // 5, replace=False)
    copies = originals[of_copy]
    for _ in range(3):
        copies[np.arange(len(copies)), rng.integers(60, size=len(copies))] = rng.integers(len(words), size=len(copies))
    prompts = [" ".join(words[row]) for row in np.concatenate([originals, copies])]
    before, started, cpu_started = peak_gib(resource.RUSAGE_SELF), time.perf_counter(), time.process_time()
    labels = near_duplicate_labels(prompts)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    found = (labels[of_copy] == labels[len(originals) :]).mean()
    n_apart = len(np.unique(labels[: len(originals)]))
    print(
        "| prompts | CPU seconds | seconds | peak GiB (before) | copies found | originals joined |",
        "|---" * 6 + "|",
        sep="\n",
    )
    took = f"{n_prompts:,} | {cpu_seconds:.0f} | {seconds:.0f} | {peak_gib(resource.RUSAGE_SELF):.2f} ({before:.2f})"
    print(f"| {took} | {found:.2%} | {len(originals) - n_apart} |")


def peak_gib(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 2**20


def write_table(folder: Path, n_prompts: int, n_models: int, known: float, *, graded: bool) -> int:
    """Write table and catalog; return the number of outcomes."""
    rng = np.random.default_rng(0)
    words = np.array(
        [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676 % 26)}o{i}" for i in range(N_WORDS)]
    )
    zipf = 1 / np.arange(1, N_WORDS + 1)
    common = rng.choice(N_WORDS, size=(n_prompts, 40), p=zipf / zipf.sum())
    topic = rng.integers(0, N_TOPICS, n_prompts)
    own = rng.choice(N_WORDS, size=(N_TOPICS, TOPIC_WORDS))
    special = own[topic[:, None], rng.integers(0, TOPIC_WORDS, (n_prompts, 20))]
    prompts = [" ".join(words[row]) for row in np.concatenate([common, special], axis=1)]
    p = np.clip(rng.normal(np.linspace(0.4, 0.85, n_models), 0.2, (N_TOPICS, n_models)), 0.02, 0.98)
    row, column = np.nonzero(rng.random((n_prompts, n_models)) < known)
    success = rng.random(len(row)) < p[topic[row], column]
    quality = np.where(success, rng.beta(4, 1, len(row)), rng.beta(1, 3, len(row))) if graded else success.astype(float)
    frame = pl.DataFrame(
        {
            "prompt_id": pl.Series([f"p{i}" for i in range(n_prompts)]).gather(row),
            "prompt": pl.Series(prompts).gather(row),
            "model": pl.Series([f"m{i:02}" for i in range(n_models)]).gather(column),
            "quality": quality,
            "input_tokens": np.full(len(row), 120),
            "output_tokens": rng.lognormal(np.log(200 + 10 * column), 0.5).astype(int),
        }
    )
    frame.write_parquet(folder / "table.parquet")
    prices = (
        f"[models.m{i:02}]\nusd_per_mtok_input = {0.1 * 1.1**i:.4f}\nusd_per_mtok_output = {0.4 * 1.1**i:.4f}\n"
        for i in range(n_models)
    )
    (folder / "catalog.toml").write_text("".join(prices))
    return len(row)


if __name__ == "__main__":
    main()
