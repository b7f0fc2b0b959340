"""argrouter 0.1.0a2: heads and neighbours on our vectors, then ``argmax p - lambda x cost``.

What was adapted, and why:

- The package publishes its `Router` and how it decides, not how it is trained ("Training is not part of the
  open-source package"). Its documentation says what the parts are: a linear classifier per model on the embedding, the
  graded scores and the billed costs of the nearest prompts. So the heads are scikit-learn's logistic regressions,
  fitted on every known outcome of a model; graded qualities enter as two weighted labels.
- Its bank cannot hold unknown outcomes (a vote with NaN is NaN), so only training prompts whose every outcome and cost
  are known are in it.
- The regularisation of the heads is not documented: all of `REGULARISATIONS` are answered, and validation chooses; so
  are the number of neighbours and their weight, around its defaults (50 and 0.5).
- `lam` is swept over 1 / (USD that a success is worth), the values that every method of the benchmark is tried at.
- `Router.route_embeddings` predicts anew at every `lam`; here it predicts once, and a sample is checked against it.
- P(success) comes from the same `Router` built of successes instead of graded scores; on a binary table it is the same.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from argrouter.router import Router
from sklearn.linear_model import LogisticRegression

REGULARISATIONS = (0.1, 1.0, 10.0)
NEIGHBOURS = (50, 100)
NEIGHBOUR_WEIGHTS = (0.25, 0.5, 0.75)
N_CHECKED = 5
CHUNK = 512


def fit_head(vectors: Any, score: Any, regularisation: float) -> tuple[Any, float]:
    """Return weights, shape (d,), and intercept of P(correct) of one model, from scores in [0, 1], NaN where unknown."""
    known = ~np.isnan(score)
    x, y = vectors[known], score[known]
    labels = np.repeat([1, 0], len(y))
    weight = np.concatenate([y, 1 - y])
    used = weight > 0
    if len(np.unique(labels[used])) < 2:  # noqa: PLR2004
        always = bool(len(y)) and bool(y[0] > 0)
        return np.zeros(vectors.shape[1]), 10.0 if always else -10.0
    head = LogisticRegression(C=regularisation, max_iter=1000)
    head.fit(np.concatenate([x, x])[used], labels[used], sample_weight=weight[used])
    return head.coef_[0], float(head.intercept_[0])


def build(task: Any, target: str, regularisation: float) -> Router:
    """Return a router of scores `target`, with the package's defaults."""
    vectors = task["vectors_train"].astype(np.float64)
    vectors /= np.clip(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12, None)
    scores, costs = task[f"{target}_train"], task["cost_train"]
    complete = ~np.isnan(scores).any(axis=1) & ~np.isnan(costs).any(axis=1)
    if not complete.any():
        raise SystemExit("its bank needs prompts that every model answered; the training prompts have 0")
    heads = [fit_head(vectors, scores[:, model], regularisation) for model in range(scores.shape[1])]
    return Router(
        models=[str(model) for model in range(scores.shape[1])],
        coef=np.array([weights for weights, _ in heads]),
        intercept=np.array([intercept for _, intercept in heads]),
        train_emb=vectors[complete],
        train_scores=scores[complete],
        train_costs=costs[complete],
    )


def predict(router: Router, vectors: Any) -> tuple[Any, Any]:
    """Return P(correct) and expected cost in USD, each of shape (n, m), in pieces that fit into memory."""
    starts = range(0, max(len(vectors), 1), CHUNK)
    parts = [router.predict(vectors[start : start + CHUNK]) for start in starts]
    return np.concatenate([p for p, _ in parts]), np.concatenate([cost for _, cost in parts])


def decide(router: Router, vectors: Any, lambdas: Any) -> Any:
    """Return the choices at every lambda, shape (n_lambdas, n); as `Router.route_embeddings` makes them."""
    p, cost = predict(router, vectors)
    choices = np.array([(p - lam * cost).argmax(axis=1) for lam in lambdas])
    for at in np.linspace(0, len(lambdas) - 1, N_CHECKED).astype(int):
        its_own = np.array(replace(router, lam=float(lambdas[at])).route_embeddings(vectors[:N_CHECKED]))
        if not np.array_equal(its_own, choices[at, :N_CHECKED]):
            raise SystemExit(f"route_embeddings chose {its_own}, this adapter {choices[at, :N_CHECKED]}")
    return choices


def variants(task: Any) -> Iterator[tuple[Router, Router, dict[str, float]]]:
    """Yield a router of graded scores and one of successes, for every setting."""
    binary = np.array_equal(task["quality_train"], task["success_train"], equal_nan=True)
    for regularisation in REGULARISATIONS:
        graded = build(task, "quality", regularisation)
        passed = graded if binary else build(task, "success", regularisation)
        for k in NEIGHBOURS:
            for weight in NEIGHBOUR_WEIGHTS:
                settings = {"C": regularisation, "k": k, "knn_weight": weight}
                yield replace(graded, k=k, knn_weight=weight), replace(passed, k=k, knn_weight=weight), settings


def main(folder: Path) -> None:
    """Answer the task of a folder."""
    started = time.perf_counter()
    task = dict(np.load(folder / "task.npz", allow_pickle=False))
    values = task["values"]
    lambdas = 1.0 / np.where(values > 0, values, values[values > 0].min() / 1e3)
    settings, decide_s = [], []
    arrays: dict[str, list[Any]] = {
        name: [] for name in ("choices_validation", "choices_test", "p_success_validation", "p_success_test")
    }
    for graded, passed, setting in variants(task):
        settings.append(setting)
        arrays["choices_validation"].append(decide(graded, task["vectors_validation"], lambdas))
        arrays["p_success_validation"].append(predict(passed, task["vectors_validation"])[0])
        arrays["p_success_test"].append(predict(passed, task["vectors_test"])[0])
        before = time.perf_counter()
        arrays["choices_test"].append(decide(graded, task["vectors_test"], lambdas))
        decide_s.append(time.perf_counter() - before)
    fit_s = time.perf_counter() - started - sum(decide_s)
    np.savez(folder / "answer.npz", **{name: np.array(parts) for name, parts in arrays.items()})
    report = {"settings": settings, "fit_s": fit_s, "decide_s": decide_s}
    (folder / "answer.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
