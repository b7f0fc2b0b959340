"""What a router loses that learned from a log's features instead of texts, and what these take (decision 0029).

Each table is split as in training. One router learns from the training prompts' texts, the other from the same
prompts as ``--log-prompts features`` keeps them: sealed, opened again, with embeddings in 8 bits and terms without
their order. Both decide on the texts of the same test prompts. ``--hashed`` shows instead why records are sealed as a
whole: it reads word pieces back that are logged as keyed hashes beside their embedding, without the key.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.catalog import Catalog
from router_model.features import Encoder, Prompt, load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.features.logged import LogKeys, new_key_file, pack, unpack
from router_model.saved.artifact import prompt_hash
from router_model.training.fitting.embedding_cache import cached
from router_model.training.metrics import log_loss, mean_auc
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tables", default="mmlu_pro,zeroeval")
    parser.add_argument("--encoder", default="static")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=3000, help="At most so many prompts of a table.")
    parser.add_argument("--hashed", action="store_true")
    options = parser.parse_args()
    for name in options.tables.split(","):
        outcomes, encoder = read_outcomes(options.data / name / "outcomes.parquet"), load_encoder(options.encoder)
        catalog = complete_catalog(Catalog.load(options.data / name / "catalog.toml"), outcomes.models)
        outcomes = outcomes.take(np.sort(np.random.default_rng(0).permutation(len(outcomes))[: options.prompts]))
        features = featurise(outcomes.prompts, cached(encoder))
        if options.hashed:
            read_back(name, features)
            continue
        logged = as_logged(outcomes, features, encoder)
        duplicates(outcomes, logged)
        losses = []
        for seed in range(options.seeds):
            split = split_prompts(outcomes.prompt_ids, seed=seed)
            test, live = outcomes.take(split.test), features.take(split.test)
            figures = []
            for known in (features, featurise(logged.prompts, encoder)):
                run = Run(
                    options.data / name / "outcomes.parquet", outcomes, known, split, catalog, encoder,
                    TrainConfig(seed=seed, encoder=options.encoder),
                )  # fmt: skip
                p = run.fit(lambda _: None)[0].predict_features(live).p_success
                figures.append((mean_auc(p, test.quality), log_loss(p, test.quality)))
            (auc, loss), (logged_auc, logged_loss) = figures
            losses.append((auc - logged_auc, logged_loss - loss))
            print(
                f"{name}, {options.encoder}, {len(outcomes)} prompts, seed {seed}: AUC {auc:.4f} from texts, "
                f"{logged_auc:.4f} from features; log-loss {loss:.4f}, {logged_loss:.4f}",
                flush=True,
            )
        lost = np.array(losses)
        error = lost.std(axis=0, ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else np.full(2, np.nan)
        print(
            f"{name}, {options.encoder}: features lose {lost.mean(axis=0)[0]:+.4f} ± {error[0]:.4f} AUC and "
            f"{lost.mean(axis=0)[1]:+.4f} ± {error[1]:.4f} log-loss (mean of {len(lost)} seeds ± standard error)"
        )


def as_logged(outcomes: Outcomes, features: PromptFeatures, encoder: Encoder) -> Outcomes:
    """Return the outcomes as a log without texts would export them; print the sizes."""
    with tempfile.TemporaryDirectory() as folder:
        keys = new_key_file(Path(folder) / "log.key")
    began = time.perf_counter()
    sealed = [
        seal(keys, Prompt.parse(prompt), features.of_prompt(row), encoder)
        for row, prompt in enumerate(outcomes.prompts)
    ]
    took_s = time.perf_counter() - began
    sizes = np.quantile(list(map(len, sealed)), [0.5, 0.95])
    texts = np.quantile([len(Prompt.parse(prompt).text.encode()) for prompt in outcomes.prompts], [0.5, 0.95])
    print(
        f"bytes of a prompt, median and 95 %: {sizes[0]:.0f}, {sizes[1]:.0f} as features; {texts[0]:.0f}, "
        f"{texts[1]:.0f} as text. Packing and sealing takes {1e3 * took_s / len(sealed):.2f} ms"
    )
    return replace(outcomes, prompts=[unpack(keys.open(one)) for one in sealed])


def seal(keys: LogKeys, prompt: Prompt, features: PromptFeatures, encoder: Encoder) -> str:
    """Return one prompt as a log keeps it."""
    record = pack(features, prompt, text_hash=prompt_hash(prompt.text), encoder_hash=encoder.content_hash)
    return keys.seal(record)


def duplicates(outcomes: Outcomes, logged: Outcomes) -> None:
    """Print how the groups of near duplicates agree that texts and terms give."""
    by_text, by_terms = (pairs(join_near_duplicates(each).groups) for each in (outcomes, logged))
    print(
        f"near duplicates: {len(by_text)} pairs by their texts, {len(by_terms)} by their terms, "
        f"{len(by_text & by_terms)} by both"
    )


def pairs(groups: Sequence[str]) -> set[tuple[int, int]]:
    """Return all pairs of rows in one group."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return {(a, b) for members in rows.values() for i, a in enumerate(members) for b in members[i + 1 :]}


def read_back(name: str, features: PromptFeatures) -> None:
    """Match hashed word pieces with the public token table, by regression of embeddings in 8 bits on their counts.

    The embedding is the mean of its pieces' public vectors, scaled to length one. Given enough prompts, the vector of
    each hashed id is what makes the means fit; its nearest public vector names the piece.
    """
    encoder = load_encoder("static")
    embedding = np.rint(features.embedding * 127 / np.abs(features.embedding).max(axis=1, keepdims=True))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    pieces, counts = zip(*(np.unique(ids, return_counts=True) for ids in features.pieces), strict=True)
    hashed, columns = np.unique(np.concatenate(pieces), return_inverse=True)  # the attacker sees the columns alone
    shares = [count / count.sum() for count in counts]
    ends = np.cumsum([0, *map(len, pieces)])
    bags = sp.csr_array((np.concatenate(shares), columns, ends), shape=(len(embedding), len(hashed)))
    inverse = np.linalg.inv((bags @ bags.T).toarray() + 1e-4 * np.eye(len(embedding)))
    length = np.ones(len(embedding))
    for _ in range(6):  # the lengths before scaling are unknown: they follow from the vectors, and these from them
        vectors = bags.T @ (inverse @ (length[:, None] * embedding))
        length = ((bags @ vectors) * embedding).sum(axis=1)
        length /= length.mean()
    public = encoder.table * encoder.scale[:, None]
    found = (unit(vectors) @ unit(public).T).argmax(axis=1)
    n_prompts = np.bincount(columns)
    right = found == hashed
    common = n_prompts >= 5  # as many as a term needs to be learned from
    share = (right * n_prompts).sum() / n_prompts.sum()
    print(
        f"{name}, {len(embedding)} prompts: without the key {right[common].mean():.1%} of the word pieces in 5 or more "
        f"prompts are read back, and, counting each piece in each prompt, {share:.1%} of all"
    )


def unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale rows to unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


if __name__ == "__main__":
    main()
