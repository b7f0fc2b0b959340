"""How long a decision takes: load, first decision, then single and batched ones; one thread, no network.

Trains on the table first unless a router is given: ``bench_decisions.py DATA/mmlu_pro [--router FOLDER]``.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from features import Prompt, surface_features, tokenise
from router_model import Catalog, Router
from training.outcomes import read_outcomes
from training.train import train

N_SINGLE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--router", type=Path)
    options = parser.parse_args()
    table = options.table / "outcomes.parquet"
    with tempfile.TemporaryDirectory() as folder:
        path = options.router or Path(folder) / "router"
        if options.router is None:
            train(table, path, catalog=Catalog.load(options.table / "catalog.toml"))
        started = time.perf_counter()
        router = Router.load(path)
        print(f"load: {time.perf_counter() - started:.3f} s")
    prompts = [str(prompt) for prompt in read_outcomes(table).prompts]
    lengths = tokenise(prompts).lengths()
    near_100 = [prompts[row] for row in np.argsort(np.abs(lengths - 100), kind="stable")[:N_SINGLE]]
    report("decision, 100 tokens", timed(near_100, router.route), n_models=len(router.models))
    features = [(Prompt.parse(prompt)) for prompt in near_100]
    report("  tokenise", timed([[p.text] for p in features], tokenise))
    report("  surface features", timed([[p] for p in features], surface_features))
    batches = [tokenise([p.text]) for p in features]
    report("  encode", timed(batches, router.encoder.encode))
    model = router.artifact.predictor.evidence_model
    report("  bag", timed([batch.pieces for batch in batches], model.vocabulary.transform))
    started = time.perf_counter()
    router.predict(prompts[:2000])
    print(f"batch of 2,000: {(time.perf_counter() - started) / 2000 * 1000:.3f} ms a prompt")


def timed(arguments, call) -> np.ndarray:
    """Return milliseconds of each call, after ten to warm up."""
    for argument in arguments[:10]:
        call(argument)
    seconds = []
    for argument in arguments:
        started = time.perf_counter()
        call(argument)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds) * 1000


def report(label: str, milliseconds: np.ndarray, n_models: int | None = None) -> None:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    models = f", {n_models} candidates" if n_models else ""
    print(f"{label}{models}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")


if __name__ == "__main__":
    main()
