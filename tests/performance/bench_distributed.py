"""Time and memory of training on a Dask scheduler and two workers of this machine, and whether the router is the same.

``bench_distributed.py DATA/mmlu_pro --prompts 100000 --models 5`` draws prompts of a real table again and again, half
of their words replaced by others of the table and a tenth of the grades turned round, into 24 Parquet files. It trains
on them with ``--engine`` and, unless ``--only-distributed`` is given, without, and prints processor seconds and peak
memory of each process.
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

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from dask_cluster import dask_cluster

N_FILES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--only-distributed", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "table"
        n_rows = write_partitions(pl.read_parquet(options.data / "outcomes.parquet"), table, options)
        print(f"{options.prompts:,} prompts, {options.models} models, {n_rows:,} outcomes", flush=True)
        print("| run | process | CPU seconds | peak GiB | seconds |", "|---|---|---|---|---|", sep="\n", flush=True)
        command = [sys.executable, "-m", "router_model", "train", str(table), "--no-track", "--json"]
        command += ["--catalog", str(options.data / "catalog.toml")]
        with dask_cluster(folder, n_workers=2, options=["--memory-limit", "0"]) as cluster:
            run("two workers", [*command, "--out", str(folder / "distributed"), "--engine", cluster.address])
            for label, (cpu, peak) in zip(("scheduler", "worker 0", "worker 1"), cluster.usage(), strict=True):
                print(f"| two workers | {label} | {cpu:.0f} | {peak:.2f} | |", flush=True)
        if not options.only_distributed:
            run("local", [*command, "--out", str(folder / "local")])
            manifests = [(folder / which / "manifest.json").read_bytes() for which in ("distributed", "local")]
            print("the routers are the same" if manifests[0] == manifests[1] else "the routers differ")


def run(label: str, command: list[str]) -> None:
    """Run a command and print what it took; the peak is the largest of all runs so far."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {label} | train | {cpu:.0f} | {after.ru_maxrss / 2**20:.2f} | {seconds:.0f} |", flush=True)


def write_partitions(real: pl.DataFrame, table: Path, options: argparse.Namespace) -> int:
    """Write a table of resampled prompts; return the number of its rows."""
    rng = np.random.default_rng(0)
    table.mkdir()
    models = real["model"].unique().sort()[: options.models]
    real = real.filter(pl.col("model").is_in(models.implode()))
    prompts = real.unique("prompt_id", maintain_order=True)
    words = [text.split(" ")[:60] for text in prompts["prompt"]]
    known = np.array(sorted({word for text in words for word in text}), dtype=object)
    outcomes = real.select("prompt_id", "task", "model", "quality", "input_tokens", "output_tokens")
    n_rows = 0
    for number, share in enumerate(np.array_split(np.arange(options.prompts), N_FILES)):
        drawn = rng.integers(len(words), size=len(share))
        texts = []
        for row in drawn:
            text = np.array(words[row], dtype=object)
            other = rng.random(len(text)) < 0.5
            texts.append(" ".join(np.where(other, known[rng.integers(len(known), size=len(text))], text)))
        copies = pl.DataFrame(
            {"prompt_id": prompts["prompt_id"].gather(drawn), "new": [f"p{n}" for n in share], "prompt": texts}
        )
        part = copies.join(outcomes, on="prompt_id", how="left", maintain_order="left_right").drop("prompt_id")
        turned = pl.Series(rng.random(part.height) < 0.1)
        quality = pl.when(turned).then(1 - pl.col("quality")).otherwise(pl.col("quality"))
        part.rename({"new": "prompt_id"}).with_columns(quality=quality).write_parquet(
            table / f"part-{number:03}.parquet"
        )
        n_rows += part.height
    return n_rows


if __name__ == "__main__":
    main()
