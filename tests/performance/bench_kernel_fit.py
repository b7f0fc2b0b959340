"""How many products with the kernel's matrix it takes to fit the kernel machine, with the sketch and without it.

Conjugate gradients multiply the matrix of all logged prompts with the weights of all models, once a step. That was more
than half of a training's processor time. The last column is the distance of the fitted scores to those of a solution
that is a hundred times as exact, in the mean square, over the training prompts.

``bench_kernel_fit.py DATA/mmlu_pro DATA/zeroeval --prompts 2500`` also hides half of the pairs of prompts and models,
and nine tenths, at random.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare

from router_model.features import BagVocabulary
from router_model.prediction.evidence import Bank
from router_model.prediction.kernel import Kernel, SurfaceScale, by_feature
from router_model.training.fitting import kernel as fitting
from router_model.training.fitting.conjugate_gradients import Product, solve
from router_model.training.fitting.evidence import overall_record
from router_model.training.table.split import split_prompts

FloatArray = npt.NDArray[np.float32]
PENALTIES, SHARING = [0.25, 2.0], 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", help="folders with outcomes.parquet and catalog.toml")
    parser.add_argument("--prompts", type=int, default=2500)
    options = parser.parse_args()
    print("| table | pairs hidden | sketch | products | CPU seconds | distance |", "|---" * 6 + "|", sep="\n")
    for folder in options.tables:
        matrix, quality = logged(folder, options.prompts)
        for hidden in (0.0, 0.5, 0.9):
            bank = bank_of(quality, hidden)
            exact = matrix @ flat(fitting.fit_weights(matrix, bank, PENALTIES, sharing=SHARING, tolerance=1e-4))
            for name in ("no", "yes"):
                found, products, seconds = fit(matrix, bank, sketched=name == "yes")
                distance = np.sqrt(np.mean((matrix @ flat(found) - exact) ** 2))
                print(
                    f"| {folder.name} | {hidden:.0%} | {name} | {products} | {seconds:.1f} | {distance:.4f} |",
                    flush=True,
                )


def logged(folder: Path, n_prompts: int) -> tuple[FloatArray, FloatArray]:
    """Return the kernel of training prompts with each other, and their outcomes, NaN where they are missing."""
    outcomes, _, _, features = prepare(folder, "static", None)
    rows = split_prompts(outcomes.prompt_ids, seed=0).train
    rows = np.random.default_rng(0).permutation(rows)[:n_prompts]
    shown = features.take(rows)
    bags = BagVocabulary.fit(shown.pieces, min_prompts=5, max_terms=200_000).transform(shown.pieces).vectors
    form = by_feature(SurfaceScale.of(shown.surface).form(shown.surface))
    return fitting.kernel_matrix(Kernel(), shown.embedding, bags, form), outcomes.quality[rows].astype(np.float32)


def bank_of(quality: FloatArray, hidden: float) -> Bank:
    known = ~np.isnan(quality) & (np.random.default_rng(1).random(quality.shape) >= hidden)
    outcome = np.where(known, quality, 0).astype(np.float32)[:, :, None]
    weight = known.astype(np.float32)[:, :, None]
    return Bank(outcome, weight, overall_record(outcome, weight, np.array([0.5], dtype=np.float32)))


def fit(matrix: FloatArray, bank: Bank, *, sketched: bool) -> tuple[FloatArray, int, float]:
    """Return the weights, the number of products, and the processor seconds."""
    products = []

    def counting(product: Product, right: FloatArray, *, tolerance: float, precondition: Product | None) -> FloatArray:
        def counted(direction: FloatArray) -> FloatArray:
            products.append(1)
            return product(direction)

        return solve(counted, right, tolerance=tolerance, precondition=precondition if sketched else None)

    start, fitting.solve = time.process_time(), counting
    try:
        found = fitting.fit_weights(matrix, bank, PENALTIES, sharing=SHARING)
    finally:
        fitting.solve = solve
    return found, len(products), time.process_time() - start


def flat(weights: FloatArray) -> FloatArray:
    return weights.reshape(len(weights), -1)


if __name__ == "__main__":
    main()
