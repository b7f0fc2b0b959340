"""Processor seconds of training with and without threads that spin while they wait (docs/decisions/0003-threads.md).

``bench_threads.py DATA/mmlu_pro --prompts 2000 --models 6 --runs 3`` trains on a sample, once a cell and run, each in a
process of its own, and prints the median of user and system seconds, and of the seconds of the clock.

- *spinning*: LightGBM is loaded before the package, so its OpenMP does not see ``OMP_WAIT_POLICY=PASSIVE``
- *sleeping*: as a program that imports the package first
- *, BLAS at will*: numpy's and scipy's products take as many threads as there are cores, and not one
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELLS = ("spinning, BLAS at will", "spinning", "sleeping, BLAS at will", "sleeping")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=CELLS)
    parser.add_argument("--train", help=argparse.SUPPRESS)  # the process of one cell
    options = parser.parse_args()
    if options.train is not None:
        train_once(options.train, options.data)
        return
    with tempfile.TemporaryDirectory() as name:
        sample(options.data, Path(name), options.prompts, options.models)
        taken: dict[str, list[tuple[float, float]]] = {cell: [] for cell in options.cells}
        for _ in range(options.runs):  # cells by turns, so that what else runs on the machine meets all alike
            for cell in options.cells:
                taken[cell].append(seconds(cell, Path(name)))
                print(cell, *(f"{value:.1f}" for value in taken[cell][-1]), file=sys.stderr, flush=True)
    print("| threads | CPU seconds | seconds |", "|---" * 3 + "|", sep="\n")
    for cell, found in taken.items():
        cpu, clock = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"| {cell} | {cpu:.1f} | {clock:.1f} |")


def sample(data: Path, folder: Path, n_prompts: int, n_models: int) -> None:
    import polars as pl

    frame = pl.read_parquet(data / "outcomes.parquet")
    prompts = frame["prompt_id"].unique(maintain_order=True).sample(n_prompts, seed=0).to_list()
    models = frame["model"].unique().sort().to_list()[:n_models]
    kept = frame.filter(pl.col("prompt_id").is_in(prompts) & pl.col("model").is_in(models))
    kept.write_parquet(folder / "outcomes.parquet")
    (folder / "catalog.toml").write_bytes((data / "catalog.toml").read_bytes())


def seconds(cell: str, folder: Path) -> tuple[float, float]:
    """Train in a process of its own; return its processor seconds and those of the clock."""
    free = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, __file__, str(folder), "--train", cell]
    subprocess.run(command, check=True, env=free, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - started


def train_once(cell: str, folder: Path) -> None:
    if cell.startswith("spinning"):
        import lightgbm  # noqa: F401

    from router_model import Catalog
    from router_model.training import train as training

    if cell.endswith("at will"):
        training._BLAS_THREADS = None
    training.train(folder / "outcomes.parquet", folder / "router", catalog=Catalog.load(folder / "catalog.toml"))


if __name__ == "__main__":
    main()
