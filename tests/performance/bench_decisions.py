"""How long a decision takes: load, warm-up, then single and batched ones; one thread, no network.

Trains on the table first unless a router is given: ``bench_decisions.py DATA/mmlu_pro [--router FOLDER]``. Plain and
compiled decisions alternate, as what else a machine does moves both. A router of 400 models is the same one tiled.
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
from router_model.features import Prompt, surface_features, tokenise
from router_model.features.featuriser import featurise
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import train

sys.path.append(str(Path(__file__).parents[1] / "support"))
from tiled_router import tiled

N_SINGLE = 500
N_MANY_MODELS = 400
N_ROUNDS = 5


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
    started = time.perf_counter()
    compiled = router.warm_up()
    print(f"warm-up: {time.perf_counter() - started:.3f} s")
    n_models = len(router.models)
    compare("decision, 100 tokens", near_100, n_models, plain=router.route, compiled=compiled.route)
    of_prompts = [featurise([prompt], router.encoder) for prompt in near_100]
    compare("predictor", of_prompts, n_models, plain=predict(router), compiled=predict(compiled))
    parts(router, compiled, of_prompts)
    many = Router.assemble(tiled(router.artifact, N_MANY_MODELS), router.encoder)
    some = of_prompts[: N_SINGLE // 10]
    compare("predictor", some, N_MANY_MODELS, plain=predict(many), compiled=predict(many.warm_up()))
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


def predict(router):
    """Return what predicts from features."""
    return lambda features: router.artifact.predictor.predict(features, quality_bar=0.5)


def compare(label, arguments, n_models, *, plain, compiled) -> None:
    """Report two ways of doing the same, and how many times as fast the second is."""
    rounds = [(timed(arguments, plain), timed(arguments, compiled)) for _ in range(N_ROUNDS)]
    ways = [np.concatenate(way) for way in zip(*rounds, strict=True)]
    for way, milliseconds in zip(("plain", "compiled"), ways, strict=True):
        report(f"{label}, {way}", milliseconds, n_models=n_models)
    ratios = [np.median(first) / np.median(second) for first, second in rounds]
    print(f"  ratio of medians, median of {N_ROUNDS} rounds: {np.median(ratios):.1f}")


def parts(router, compiled, features) -> None:
    """Report the predictor's parts."""
    plain, fast = router.artifact.predictor, compiled.artifact.predictor.prompt
    report("  evidence, plain", timed(features, plain.evidence_model.evidence))
    alone = [(each.embedding[0], each.pieces[0], plain.evidence_model.surface_of(each)[0]) for each in features]
    report("  evidence, compiled", timed(alone, lambda each: fast.evidence.evidence(*each)))
    pairs = [(plain.evidence_model.evidence(each), each) for each in features]
    report("  boosters, plain", timed(pairs, lambda pair: plain.boosted(*pair)))
    found = [(fast.evidence.evidence(*each), each[2]) for each in alone]
    report(
        "  boosters, compiled", timed(found, lambda each: fast.success.mean_score(fast.columns.lay(*each, fast.bars)))
    )


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
