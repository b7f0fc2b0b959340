"""Run paretobandit 0.1.1: LinUCB, warm-started offline on every training outcome and frozen; its cost penalty is swept.

What was adapted, and why:

- The best start that its documentation describes is offline priors from labelled data (`generate_warmup_priors`, then
  ``BanditRouter.create(priors=path)``), which use the outcomes of *all* models. Replaying the table as a stream would
  show it only one outcome for each prompt. The priors that it ships are not used: they belong to another encoder and
  other models.
- Our vectors take the place of its sentence encoder. They are passed to `generate_warmup_priors` as precomputed
  embeddings, and to the router through `FeatureService.for_precomputed`, whitened by a PCA of the training vectors as
  its own service does. Its default is 25 components. More are tried too, and validation chooses.
- Its penalty needs one price for each model, and uses the logarithm of the price between two market anchors. A price
  per token ignores how many tokens a model writes. So the price here is the mean billed cost of the training prompts,
  and the anchors are the least and the highest of these (its documentation asks for anchors that do not saturate).
- The knob is `cost_penalty`. Its budget pacer moves exactly this penalty, but by observing the costs of answers, and no
  method sees these for the prompts that it is measured on. For the same reason the router is frozen:
  `BanditRouter.exploit`, its "frozen policy evaluation", has no exploration and no feedback. Exploration, forgetting
  and the strength of the priors then have no effect.
- `BanditRouter.route` takes prompts one by one. Here its score is computed for all at once, and a sample is checked
  against it.
- P(success) is the expected reward, clipped to [0, 1], of a router whose rewards are successes. On a binary table this
  is the same router.
"""

import hashlib
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pareto_bandit import BanditRouter
from pareto_bandit.calibration import generate_warmup_priors
from pareto_bandit.feature_service import FeatureService
from pareto_bandit.types import RouterConfig
from sklearn.decomposition import PCA

COMPONENTS = (25, 64, 128)
PENALTIES = np.concatenate([[0.0], np.geomspace(1e-3, 100, 100)])
N_CHECKED = 5


def project(pca: PCA, vectors: Any) -> Any:
    """Return whitened components and a bias, shape (n, d + 1), as the package's own feature service computes them."""
    scale = 1.0 / np.sqrt(np.maximum(pca.explained_variance_, 1e-12))
    return np.column_stack([pca.transform(vectors) * scale, np.ones(len(vectors))])


def write_priors(path: Path, pca: PCA, vectors: Any, rewards: Any) -> None:
    """Accumulate the statistics of every known reward, with the package's own function."""
    known = ~np.isnan(rewards)
    data = [
        {"prompt": str(row), "rewards": {f"model-{i:03d}": float(rewards[row, i]) for i in np.flatnonzero(known[row])}}
        for row in range(len(rewards))
    ]
    embeddings = {hashlib.sha256(str(row).encode()).hexdigest(): vector for row, vector in enumerate(vectors)}
    generate_warmup_priors(data, "ours", pca, output_path=path, precomputed_raw_embeddings=embeddings)


def prices(cost: Any) -> Any:
    """Return each model's mean cost in USD, shape (m,); it is kept above 0, because its logarithm is used."""
    known = ~np.isnan(cost)
    mean = np.where(known, cost, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    positive = mean[mean > 0]
    mean = np.where(known.any(axis=0), mean, mean.max())
    return np.maximum(mean, positive.min() / 10 if len(positive) else 1.0)


def build(pca: PCA, vectors: Any, rewards: Any, price: Any, seed: int) -> BanditRouter:
    """Return a warm router without exploration."""
    # The package halves the sum of both prices and divides by 1,000, so each price is multiplied by 1,000.
    registry = {
        f"model-{i:03d}": {"input_cost_per_m": 1000 * usd, "output_cost_per_m": 1000 * usd}
        for i, usd in enumerate(price.tolist())
    }
    with tempfile.TemporaryDirectory() as folder:
        priors = Path(folder) / "priors.joblib"
        write_priors(priors, pca, vectors, rewards)
        return BanditRouter.create(
            model_registry=registry,
            feature_service=FeatureService.for_precomputed(pca.n_components_ + 1),
            priors=str(priors),
            config=RouterConfig(market_cost_floor=float(price.min()), market_cost_ceiling=float(price.max())),
            bandit_seed=seed,
            cost_penalty=0.0,
        )


def expected_rewards(router: BanditRouter, x: Any) -> Any:
    """Return the posterior mean of every model, shape (n, m), as `get_expected_reward` does for one prompt."""
    return x @ np.array([router.bandit.theta[model] for model in router.bandit.models]).T


def decide(router: BanditRouter, x: Any) -> Any:
    """Return the choices at every penalty, shape (n_penalties, n); as `BanditRouter.route` chooses."""
    reward = expected_rewards(router, x)
    burden = np.array([router._get_normalized_cost(model) for model in router.bandit.models])  # noqa: SLF001
    choices = np.array([(reward - penalty * burden).argmax(axis=1) for penalty in PENALTIES])
    for at in np.linspace(0, len(PENALTIES) - 1, N_CHECKED).astype(int):
        router.cost_penalty = float(PENALTIES[at])
        with router.exploit():
            its_own = [router.bandit.models.index(router.route(row)[0]) for row in x[:N_CHECKED]]
        score = reward[:N_CHECKED] - PENALTIES[at] * burden
        # Scores are compared instead of choices, because the package breaks ties at random.
        if (np.take_along_axis(score, np.array(its_own)[:, None], 1)[:, 0] < score.max(axis=1) - 1e-9).any():
            raise SystemExit(f"route chose {its_own}, this adapter {choices[at, :N_CHECKED]}")
    return choices


def main(folder: Path) -> None:
    """Answer the task in a folder."""
    logging.disable(logging.WARNING)
    started = time.perf_counter()
    task = dict(np.load(folder / "task.npz", allow_pickle=False))
    vectors = {side: task[f"vectors_{side}"].astype(np.float64) for side in ("train", "validation", "test")}
    binary = np.array_equal(task["quality_train"], task["success_train"], equal_nan=True)
    price, seed = prices(task["cost_train"]), int(task["seed"])
    most = min(vectors["train"].shape) - 1
    settings, decide_s = [], []
    arrays: dict[str, list[Any]] = {
        name: [] for name in ("choices_validation", "choices_test", "p_success_validation", "p_success_test")
    }
    for n_components in sorted({min(n, most) for n in COMPONENTS}):
        pca = PCA(n_components, random_state=seed).fit(vectors["train"])
        x = {side: project(pca, vectors[side]) for side in ("validation", "test")}
        graded = build(pca, vectors["train"], task["quality_train"], price, seed)
        passed = graded if binary else build(pca, vectors["train"], task["success_train"], price, seed)
        settings.append({"pca_components": n_components})
        for side, contexts in x.items():
            arrays[f"p_success_{side}"].append(np.clip(expected_rewards(passed, contexts), 0, 1))
        arrays["choices_validation"].append(decide(graded, x["validation"]))
        before = time.perf_counter()
        arrays["choices_test"].append(decide(graded, project(pca, vectors["test"])))
        decide_s.append(time.perf_counter() - before)
    fit_s = time.perf_counter() - started - sum(decide_s)
    stacked: dict[str, Any] = {name: np.array(parts) for name, parts in arrays.items()}
    np.savez(folder / "answer.npz", **stacked)
    report = {"settings": settings, "fit_s": fit_s, "decide_s": decide_s}
    (folder / "answer.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
