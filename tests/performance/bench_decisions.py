"""Where the time of a decision goes: ``bench_decisions.py DATA/mmlu_pro [--router FOLDER]``, beside the limits.

Trains on the table first unless a router is given. It counts the processor time of the thread that decides, because
what else a machine does moves the clock; caches that others fill still move it. One thread, prompts of about 100 word
pieces, no network. A router of 400 models is the same one tiled.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from router_model import Catalog, Router
from router_model.features import tokenise
from router_model.features.featuriser import featurise
from router_model.goal import OWN_TRADEOFF
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import train

sys.path.append(str(Path(__file__).parents[1] / "support"))
from tiled_router import tiled

N_SINGLE = 500
N_MANY_MODELS = 400
N_BATCH = 2000


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
        loads = [seconds_of(lambda: Router.load(path)) for _ in range(3)]
        router = Router.load(path)
    prompts = [str(prompt) for prompt in read_outcomes(table).prompts]
    lengths = tokenise(prompts).lengths()
    near_100 = [prompts[row] for row in np.argsort(np.abs(lengths - 100), kind="stable")[:N_SINGLE]]
    print("| CPU ms | p50 | p99 | limit |\n|---|---|---|---|")
    breakdown(router, near_100, limit="0.5 / 1.2")
    breakdown(Router.assemble(tiled(router.artifact, N_MANY_MODELS), router.encoder), near_100[:100], limit="2")
    features = featurise(prompts[:N_BATCH], router.encoder)
    started = time.process_time()  # large batches are shared by two threads
    router.artifact.predictor.predict(features, quality_bar=0.5)
    took = time.process_time() - started
    print(f"| load, s | {np.median(loads):.2f} | {max(loads):.2f} | 0.3 |")
    print(f"| predictor in batches of {N_BATCH:,}, prompts/s | {N_BATCH / took:,.0f} | | 8,000 |")


def breakdown(router, prompts, *, limit) -> None:
    """Print a decision's parts; the predictor's second part and the plan are what is left of a whole."""
    predictor, n = router.artifact.predictor, f"{len(router.models)} candidates"
    batches = [tokenise([prompt]) for prompt in prompts]
    features = [featurise([prompt], router.encoder) for prompt in prompts]
    parts = {
        "features": timed(zip(prompts, strict=True), lambda prompt: featurise([prompt], router.encoder)),
        "- tokenise": timed(zip(prompts, strict=True), lambda prompt: tokenise([prompt])),
        "- encode": timed(zip(batches, strict=True), router.encoder.encode),
        "predictor": timed(zip(features, strict=True), lambda each: predictor.predict(each, quality_bar=0.5)),
    }
    if hasattr(predictor, "evidence"):
        parts["- evidence"] = timed(zip(features, strict=True), predictor.evidence)
    known = timed(
        zip(prompts, features, strict=True), lambda prompt, own: router.decide([prompt], OWN_TRADEOFF, features=own)
    )
    parts["prices, constraints, ranking and plan"] = known - parts["predictor"]
    for label, milliseconds in parts.items():
        report(f"{label}, {n}", milliseconds)
    report(f"**decision, {n}**", timed(zip(prompts, strict=True), router.route), limit)


def timed(arguments, call) -> np.ndarray:
    """Return milliseconds of the thread's processor time for each call, after ten to warm up."""
    given = list(arguments)
    for each in given[:10]:
        call(*each)
    return np.array([1000 * seconds_of(lambda each=each: call(*each)) for each in given])


def seconds_of(call) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started


def report(label: str, milliseconds: np.ndarray, limit: str = "") -> None:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    print(f"| {label} | {p50:.3f} | {p99:.3f} | {limit} |", flush=True)


if __name__ == "__main__":
    main()
