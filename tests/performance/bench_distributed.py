"""Time and memory of training on a Dask scheduler and two workers of this machine, and whether the router is the same.

``bench_distributed.py DATA/mmlu_pro --prompts 100000`` resamples and perturbs a real table (`resampled.py`) into 24
Parquet files, as the log of a service: with one model's outcome of each prompt, or with ``--whole`` with all outcomes.
It trains on them with ``--engine`` and, unless ``--only-distributed`` is given, without, and prints processor seconds
and peak memory of each process. ``--made`` names a folder of such files that was written before.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from resampled import write_partitions

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from dask_cluster import dask_cluster

N_FILES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--models", type=int, help="as many models of the table [all]")
    parser.add_argument("--whole", action="store_true", help="all outcomes of each prompt, not a log's one")
    parser.add_argument("--made", type=Path, help="a folder of files that were written before")
    parser.add_argument("--only-distributed", action="store_true")
    parser.add_argument("--local", type=Path, help="the router of the same files, trained without an engine before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = options.made or folder / "table"
        if options.made is None:
            write(table, options)
        counts = pl.scan_parquet(table).select(pl.n_unique("prompt_id", "model"), n=pl.len()).collect().row(0)
        print("{:,} prompts, {:,} models, {:,} outcomes".format(*counts), flush=True)
        print("| run | process | CPU seconds | peak GiB | seconds |", "|---|---|---|---|---|", sep="\n", flush=True)
        command = [sys.executable, "-m", "router_model", "train", str(table), "--no-track", "--json"]
        command += ["--catalog", str(options.data / "catalog.toml")]
        with dask_cluster(folder, n_workers=2, options=["--memory-limit", "0"]) as cluster:
            run("two workers", [*command, "--out", str(folder / "distributed"), "--engine", cluster.address])
            for label, (cpu, peak) in zip(("scheduler", "worker 0", "worker 1"), cluster.usage(), strict=True):
                print(f"| two workers | {label} | {cpu:.0f} | {peak:.2f} | |", flush=True)
        if not options.only_distributed:
            local = options.local or folder / "local"
            if options.local is None:
                run("local", [*command, "--out", str(local)])
            manifests = [(where / "manifest.json").read_bytes() for where in (folder / "distributed", local)]
            print("the routers are the same" if manifests[0] == manifests[1] else "the routers differ")


def run(label: str, command: list[str]) -> None:
    """Run a command and print what it took; the peak is the largest of all runs so far."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {label} | train | {cpu:.0f} | {after.ru_maxrss / 2**20:.2f} | {seconds:.0f} |", flush=True)


def write(table: Path, options: argparse.Namespace) -> None:
    real = pl.read_parquet(options.data / "outcomes.parquet")
    models = real["model"].unique().sort()[: options.models]
    real = real.filter(pl.col("model").is_in(models.implode()))
    write_partitions(real, table, options.prompts, logged=not options.whole, n_files=N_FILES)


if __name__ == "__main__":
    main()
