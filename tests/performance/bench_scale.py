"""Time and memory of training on a large table, made up here: prompts of Zipf-distributed words on many topics.

``bench_scale.py --prompts 100000 --models 50`` writes the table into a temporary folder, trains in a process of its
own (as the command does) and prints seconds (of the clock and of the processor; on a machine that others use, only the
latter can be compared), peak memory and the size of the artifact.

``bench_scale.py --table DATA/mmlu_pro --prompts 1000000 --commands import,train,ope`` does so with commands on a table
that is a real one resampled and perturbed (`resampled.py`): as the log of a service, with one model's outcome of each
prompt, or with ``--whole`` with all outcomes. Each command is a process of its own. ``evaluate``, ``ope``, ``drift``
and ``retrain`` need a router of the real table (``--router``). A table that was written before can be given instead of
being made (``--made``), as making a million prompts takes half a minute.

``bench_scale.py --prompts 100000 --grouping`` only groups near duplicates: prompts of 60 words from 4,000, without
names or numbers, a fifth of them copies with three other words. It prints the same and the share of copies found.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from resampled import write_resampled

from router_model.training.near_duplicates.groups import near_duplicate_labels

N_TOPICS, N_WORDS, TOPIC_WORDS = 60, 30_000, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--known", type=float, default=0.5, help="share of (prompt, model) pairs with an outcome")
    parser.add_argument("--graded", action="store_true", help="continuous qualities instead of right or wrong")
    parser.add_argument(
        "--table", type=Path, help="folder of the real table to resample: outcomes.parquet, catalog.toml"
    )
    parser.add_argument("--whole", action="store_true", help="all outcomes of each resampled prompt, not a log's one")
    parser.add_argument("--made", type=Path, help="a table that `resampled.py` wrote before")
    parser.add_argument("--commands", default="train", help="import, train, retrain, evaluate, ope, drift")
    parser.add_argument("--router", type=Path, help="router of the real table")
    parser.add_argument("--grouping", action="store_true", help="group near duplicates, without training")
    options = parser.parse_args()
    if options.grouping:
        group(options.prompts)
        return
    titles = "| command | prompts | models | outcomes | CPU seconds | seconds | peak GiB | artifact MB |"
    print(titles, "|---" * 8 + "|", sep="\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.table is None:
            n_rows = write_table(folder, options.prompts, options.models, options.known, graded=options.graded)
            cost(folder, folder / "table.parquet", options, (options.prompts, options.models, n_rows))
            return
        table = options.made or folder / "table.parquet"
        if options.made is None:
            write_resampled(options.table / "outcomes.parquet", table, options.prompts, logged=not options.whole)
        shutil.copy(options.table / "catalog.toml", folder)
        counts = pl.scan_parquet(table).select(pl.n_unique("prompt_id", "model"), n=pl.len()).collect().row(0)
        cost(folder, table, options, counts)


def cost(folder: Path, table: Path, options: argparse.Namespace, counts: tuple[int, ...]) -> None:
    """Run the commands, one after the other, and print what each took."""
    arguments = {
        "import": [str(table), "--out", str(folder / "imported.parquet")],
        "train": [str(table), "--catalog", str(folder / "catalog.toml"), "--out", str(folder / "router"), "--no-track"],
        "retrain": ["--log", str(table), "--base", str(options.router), "--out", str(folder / "router"), "--no-track"],
        "evaluate": [str(options.router), str(table)],
        "ope": [str(options.router), "--log", str(table), "--no-track"],
        "drift": [str(options.router), "--log", str(table)],
    }
    arguments["retrain"] += ["--accept-moves", "--table", str(options.table and options.table / "outcomes.parquet")]
    for command in options.commands.split(","):
        called = [sys.executable, "-c", _CHILD, command, *arguments[command]]
        printed = subprocess.run(called, check=True, stdout=subprocess.PIPE, text=True).stdout
        cpu_seconds, seconds, peak = map(float, printed.split()[-3:])
        size = sum(path.stat().st_size for path in (folder / "router").glob("*")) / 1e6
        shown = " | ".join(f"{count:,}" for count in counts)
        print(f"| {command} | {shown} | {cpu_seconds:.0f} | {seconds:.0f} | {peak:.1f} | {size:.0f} |", flush=True)


_CHILD = """
import resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run([sys.executable, "-m", "router_model", *sys.argv[1:]], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 2**20)
sys.exit(done.returncode if sys.argv[1] != "drift" else done.returncode // 2)
"""
"""Runs a command in a process between, so that what other commands used is not counted; `drift` may find something."""


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
